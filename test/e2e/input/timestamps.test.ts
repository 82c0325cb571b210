import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeNumbers, type NumberedFrame } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { measureSync } from '../../helpers/media/sync.ts'
import { http } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await setStage({ env: { STREAM_LINGER_SECONDS: '1' } })
})
afterAll(() => stage?.[Symbol.asyncDispose]())

/** Publishes a clip, and returns the numbers and timestamps sent by ffmpeg and received by a viewer. */
async function passThrough(clip: string, name: string, options = '') {
  const sent = join(stage.folder, `${name}.sent.ts`)
  const target = (url: string) => `[f=mpegts${options}]${url}`
  await using publisher = await stage.publish(name, clip, {
    url: `${target(sent)}|${target(`${stage.url}/ingest/${name}`)}`,
    outputArgs: ['-map', '0', '-c', 'copy', '-f', 'tee'],
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
  const right = ({ number, pts }: NumberedFrame) =>
    ((ptsOf.get(number) ?? Number.NaN) + TURN) % TURN === (pts + TURN) % TURN
  // The overlay after the last frame shows it again, dimmed.
  const last = received.findLastIndex(right)
  const [shown, overlay] = [received.slice(0, last + 1), received.slice(last + 1)]
  expect(overlay.filter(({ number }) => number !== undefined && number !== shown.at(-1)?.number)).toEqual([])
  expect(shown.length).toBeGreaterThanOrEqual(atLeast)
  expect(shown.filter((frame) => !right(frame))).toEqual([])
  const numbers = shown.map(({ number }) => number as number)
  // In order, without duplicates.
  expect(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] as number))).toBe(true)
}

describe('timestamps', () => {
  const base = { seconds: 6, width: 640, height: 360, fps: 30 }

  it('match the input, frame by frame', async () => {
    const { sent, received } = await passThrough(await stage.clip(base), 'plain')
    expectSameStamps(sent, received, 60)
  })

  it('match with B-frames', async () => {
    const { sent, received } = await passThrough(await stage.clip({ ...base, bframes: 2 }), 'bframes')
    expectSameStamps(sent, received, 60)
  })

  it('match with a variable frame rate', async () => {
    const { sent, received } = await passThrough(await stage.clip({ ...base, vfr: true }), 'vfr')
    expectSameStamps(sent, received, 60)
  })

  it('match across the wrap of 33 bits', async () => {
    const offset = (TURN / 90_000 - 6).toFixed(3)
    const { sent, received } = await passThrough(
      await stage.clip({ ...base, seconds: 10 }),
      'wrap',
      `:output_ts_offset=${offset}`,
    )
    expectSameStamps(sent, received, 60)
    const stamps = received.map(({ pts }) => (pts + TURN) % TURN)
    expect(Math.max(...stamps)).toBeGreaterThan(TURN - 10 * 90_000)
    expect(Math.min(...stamps)).toBeLessThan(10 * 90_000)
  })

  it('match for a file sent at full speed: it plays in real time and loses hardly a frame', async () => {
    const clip = await stage.clip(base)
    const began = performance.now()
    const posted = http('POST', `${stage.url}/ingest/file`, { body: await readFile(clip) })
    await stage.waitForStatus('file', 'frames', ({ egress }) => egress.fps > 0)
    await using recording = await record(`${stage.url}/out/file.ts`)
    expect((await posted).status).toBe(200)
    expect(performance.now() - began).toBeGreaterThan(5000)
    const { dropped } = await stage.status('file')
    expect(dropped.beforePipeline + dropped.afterPipeline).toBeLessThan(30)
    recording.stop()
    expectSameStamps(await decodeNumbers(clip), await decodeNumbers(recording.bytes()), 100)
  })

  it('keep audio and video within 40 ms from ingest to /out', async () => {
    const clip = await stage.clip({ ...base, seconds: 8, audio: 'flash-beep' })
    const { bytes, file } = await passThrough(clip, 'sync')
    const before = await measureSync(file)
    const after = await measureSync(bytes)
    expect(before.length).toBeGreaterThanOrEqual(4)
    expect(after.length).toBeGreaterThanOrEqual(3)
    // The median, because a frame lost on a busy machine shifts its flash.
    const offsets = after.map(({ offsetMs }) => Math.abs(offsetMs)).sort((a, b) => a - b)
    expect(offsets[offsets.length >> 1]).toBeLessThanOrEqual(40)
  })
})
