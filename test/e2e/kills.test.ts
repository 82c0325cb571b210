import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { httpJson } from '../helpers/http.ts'
import { isAlive } from '../helpers/nothing-left.ts'
import { decodeNumbers } from '../helpers/probe-ts.ts'
import { record } from '../helpers/record.ts'
import { type Stage, setStage } from '../helpers/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
  // A long group of frames: a new decoder must not have to wait for the next keyframe.
  const clip = await stage.clip({ seconds: 60, width: 640, height: 360, fps: 30, gop: 300 })
  await stage.publish('demo', clip)
  await stage.waitForStatus('demo', 'the pipeline', ({ inference }) => inference.fps > 20)
})
afterAll(() => stage?.[Symbol.asyncDispose]())

describe.each(['pipeline', 'decoder', 'encoder'] as const)('kill -9 on the %s', (victim) => {
  it('is another process, whose death the stream outlives', async () => {
    const { processes } = await stage.status('demo')
    const pid = processes[victim]
    expect(pid).toBeTypeOf('number')
    expect(pid).not.toBe(stage.server.pid)
    await using recording = await record(`${stage.url}/out/demo.ts`)
    await sleep(1000)
    const before = recording.bytes().length
    process.kill(pid as number, 'SIGKILL')
    await sleep(3000)
    recording.stop()
    const seenBefore = (await decodeNumbers(recording.bytes().subarray(0, before))).filter(
      ({ number }) => number !== undefined,
    )
    const all = await decodeNumbers(recording.bytes())
    const last = seenBefore.at(-1)?.number ?? Number.NaN
    // New frames of the publisher, processed, within three seconds.
    expect(all.some(({ number }) => number !== undefined && number > last + 15)).toBe(true)
    const times = all.map(({ pts }) => pts)
    expect(times.every((pts, index) => index === 0 || pts > (times[index - 1] as number))).toBe(true)
    const now = await stage.status('demo')
    expect(now.processes[victim]).toBeTypeOf('number')
    expect(now.processes[victim]).not.toBe(pid)
    expect(isAlive(pid as number)).toBe(false)
  })
})

describe.each(['pipeline', 'decoder', 'encoder'] as const)('kill -STOP on the %s', (victim) => {
  it('is a child that hangs, and it is replaced', async () => {
    const { processes } = await stage.status('demo')
    const pid = processes[victim] as number
    await using viewer = await record(`${stage.url}/out/demo.ts`)
    await stage.waitForStatus('demo', 'bytes for the viewer', () => viewer.bytes().length > 10_000)
    process.kill(pid, 'SIGSTOP')
    const stoppedAt = performance.now()
    await stage.waitForStatus(
      'demo',
      'another one',
      ({ processes: now }) => now[victim] !== null && now[victim] !== pid,
      8000,
    )
    expect(performance.now() - stoppedAt).toBeLessThan(5000)
    expect(isAlive(pid)).toBe(false)
    const seen = viewer.bytes().length
    await stage.waitForStatus('demo', 'frames', ({ inference }) => inference.fps > 10 && viewer.bytes().length > seen)
    viewer.stop()
    const times = (await decodeNumbers(viewer.bytes())).map(({ pts }) => pts)
    expect(times.every((pts, index) => index === 0 || pts > (times[index - 1] as number))).toBe(true)
  })
})

it('says what happened', async () => {
  const events = await record(`${stage.url}/streams/demo/events?lastEventId=0`)
  await sleep(500)
  events.stop()
  const text = events.bytes().toString()
  for (const source of ['pipeline', 'decoder', 'encoder'])
    expect(text).toContain(`"type":"restart","source":"${source}"`)
  expect((await httpJson('GET', `${stage.url}/health`)).json).toMatchObject({
    status: expect.stringMatching(/IDLE|OK/),
  })
})
