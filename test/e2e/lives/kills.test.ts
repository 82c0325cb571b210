import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { isAlive } from '../../helpers/nothing-left.ts'
import { httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
  // A long GOP: a new decoder must not wait for the next keyframe.
  const clip = await stage.clip({ seconds: 240, width: 640, height: 360, fps: 30, gop: 300 })
  await stage.publish('demo', clip)
  await stage.waitForStatus('demo', 'the pipeline', ({ inference }) => inference.fps > 5)
})
afterAll(() => stage?.[Symbol.asyncDispose]())

describe.each(['pipeline', 'decoder', 'encoder'] as const)('kill -9 on the %s', (victim) => {
  it('kills a separate process, and the stream survives it', async () => {
    const { processes } = await stage.status('demo')
    const pid = processes[victim]
    expect(pid).toBeTypeOf('number')
    expect(pid).not.toBe(stage.server.pid)
    await using recording = await record(`${stage.url}/out/demo.ts`)
    const newest = async () =>
      (await decodeNumbers(recording.bytes())).findLast(({ number }) => number !== undefined)?.number ?? Number.NaN
    const last = await waitFor('a frame', newest)
    process.kill(pid as number, 'SIGKILL')
    await stage.waitForStatus('demo', 'another one', (now) => ![null, pid].includes(now.processes[victim]))
    await waitFor('new frames of the publisher', async () => (await newest()) > last + 30, { everyMs: 300 })
    recording.stop()
    const all = await decodeNumbers(recording.bytes())
    const times = all.map(({ pts }) => pts)
    expect(times.every((pts, index) => index === 0 || pts > (times[index - 1] as number))).toBe(true)
    const now = await stage.status('demo')
    expect(now.processes[victim]).toBeTypeOf('number')
    expect(now.processes[victim]).not.toBe(pid)
    expect(isAlive(pid as number)).toBe(false)
  })
})

describe.each(['pipeline', 'decoder', 'encoder'] as const)('kill -STOP on the %s', (victim) => {
  it('is detected, and the process replaced', async () => {
    const { processes } = await stage.status('demo')
    const pid = processes[victim] as number
    await using viewer = await record(`${stage.url}/out/demo.ts`)
    await stage.waitForStatus('demo', 'bytes for the viewer', () => viewer.bytes().length > 10_000)
    process.kill(pid, 'SIGSTOP')
    const stoppedAt = performance.now()
    const silence = longestSilence(() => viewer.bytes().length)
    await stage.waitForStatus(
      'demo',
      'another one',
      ({ processes: now }) => now[victim] !== null && now[victim] !== pid,
    )
    // Two seconds on a quiet machine.
    expect(performance.now() - stoppedAt).toBeLessThan(10_000)
    expect(isAlive(pid)).toBe(false)
    const seen = viewer.bytes().length
    await stage.waitForStatus('demo', 'frames', ({ inference }) => inference.fps > 10 && viewer.bytes().length > seen)
    expect(silence()).toBeLessThan(3000)
    viewer.stop()
    const times = (await decodeNumbers(viewer.bytes())).map(({ pts }) => pts)
    expect(times.every((pts, index) => index === 0 || pts > (times[index - 1] as number))).toBe(true)
  })
})

/** Starts measuring, and returns a function that stops and returns the longest time without new bytes, in ms. */
function longestSilence(bytes: () => number): () => number {
  let [seen, at, longest] = [bytes(), performance.now(), 0]
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - at)
    if (bytes() === seen) return
    seen = bytes()
    at = now
  }, 20)
  return () => {
    clearInterval(timer)
    return longest
  }
}

it('reports what happened', async () => {
  const events = await record(`${stage.url}/streams/demo/events?lastEventId=0`)
  for (const source of ['pipeline', 'decoder', 'encoder'])
    await waitFor(`the restart of the ${source}`, () =>
      events.bytes().includes(`"type":"restart","source":"${source}"`),
    )
  events.stop()
  expect((await httpJson('GET', `${stage.url}/health`)).json).toMatchObject({
    status: expect.stringMatching(/IDLE|OK/),
  })
})
