import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeNumbers, type NumberedFrame } from '../helpers/probe-ts.ts'
import { record } from '../helpers/record.ts'
import { type Stage, setStage } from '../helpers/stage.ts'
import { measureSync } from '../helpers/sync.ts'

let stage: Stage
beforeAll(async () => {
  stage = await setStage({ env: { STREAM_LINGER_SECONDS: '1' } })
})
afterAll(() => stage?.[Symbol.asyncDispose]())

/** Publishes a clip, keeping what ffmpeg sent, and returns the numbers and time stamps on both sides. */
async function passThrough(clip: string, name: string, extra: string[] = []) {
  const sent = join(stage.folder, `${name}.sent.ts`)
  const target = (url: string) => `[f=mpegts]${url}`
  await using publisher = await stage.publish(name, clip, {
    url: `${target(sent)}|${target(`${stage.url}/ingest/${name}`)}`,
    outputArgs: ['-map', '0', '-c', 'copy', ...extra, '-f', 'tee'],
  })
  await using recording = await record(`${stage.url}/out/${name}.ts`)
  await publisher.closed
  await sleep(500)
  recording.stop()
  await recording.ended
  return {
    sent: await decodeNumbers(sent),
    received: await decodeNumbers(recording.bytes()),
    bytes: recording.bytes(),
    file: sent,
  }
}

const TURN = 2 ** 33
function expectSameStamps(sent: NumberedFrame[], received: NumberedFrame[], atLeast: number) {
  const ptsOf = new Map(sent.map(({ number, pts }) => [number, pts]))
  expect(received.length).toBeGreaterThanOrEqual(atLeast)
  const wrong = received.filter(
    ({ number, pts }) => ((ptsOf.get(number) ?? Number.NaN) + TURN) % TURN !== (pts + TURN) % TURN,
  )
  expect(wrong).toEqual([])
  const numbers = received.map(({ number }) => number as number)
  // In order, none twice.
  expect(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] as number))).toBe(true)
}

describe('time stamps', () => {
  const base = { seconds: 6, width: 640, height: 360, fps: 30 }

  it('are those of the input, frame by frame', async () => {
    const { sent, received } = await passThrough(await stage.clip(base), 'plain')
    expectSameStamps(sent, received, 60)
  })

  it('are, with B-frames', async () => {
    const { sent, received } = await passThrough(await stage.clip({ ...base, bframes: 2 }), 'bframes')
    expectSameStamps(sent, received, 60)
  })

  it('are, with a variable frame rate', async () => {
    const { sent, received } = await passThrough(await stage.clip({ ...base, vfr: true }), 'vfr')
    expectSameStamps(sent, received, 60)
  })

  it('are, across the wrap of 33 bits', async () => {
    const offset = String(TURN / 90_000 - 4)
    const { sent, received } = await passThrough(await stage.clip(base), 'wrap', ['-output_ts_offset', offset])
    expectSameStamps(sent, received, 60)
    expect(received.some(({ pts }) => pts > TURN / 2) && received.some(({ pts }) => pts < TURN / 2)).toBe(true)
  })

  it('keep sound and picture within 40 ms from ingest to /out', async () => {
    const clip = await stage.clip({ ...base, seconds: 8, audio: 'flash-beep' })
    const { bytes, file } = await passThrough(clip, 'sync')
    const before = await measureSync(file)
    const after = await measureSync(bytes)
    expect(before.length).toBeGreaterThanOrEqual(4)
    expect(after.length).toBeGreaterThanOrEqual(3)
    for (const { offsetMs, flashPts } of after)
      expect(Math.abs(offsetMs), `flash at ${flashPts}`).toBeLessThanOrEqual(40)
  })
})
