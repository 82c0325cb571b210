import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { http } from '../helpers/http.ts'
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
  // The overlay that follows the last one shows it again, dimmed.
  const end = received.findIndex(({ number }) => number === sent.at(-1)?.number)
  const shown = end < 0 ? received : received.slice(0, end + 1)
  const ptsOf = new Map(sent.map(({ number, pts }) => [number, pts]))
  expect(shown.length).toBeGreaterThanOrEqual(atLeast)
  const wrong = shown.filter(
    ({ number, pts }) => ((ptsOf.get(number) ?? Number.NaN) + TURN) % TURN !== (pts + TURN) % TURN,
  )
  expect(wrong).toEqual([])
  const numbers = shown.map(({ number }) => number as number)
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

  it('are those of a file that is sent at full speed: it plays in real time, and hardly a frame is lost', async () => {
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

  it('keep audio and frame within 40 ms from ingest to /out', async () => {
    const clip = await stage.clip({ ...base, seconds: 8, audio: 'flash-beep' })
    const { bytes, file } = await passThrough(clip, 'sync')
    const before = await measureSync(file)
    const after = await measureSync(bytes)
    expect(before.length).toBeGreaterThanOrEqual(4)
    expect(after.length).toBeGreaterThanOrEqual(3)
    // The median, because a frame lost on a busy machine moves its flash.
    const offsets = after.map(({ offsetMs }) => Math.abs(offsetMs)).sort((a, b) => a - b)
    expect(offsets[offsets.length >> 1]).toBeLessThanOrEqual(40)
  })
})
