import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { measureSync } from '../../helpers/media/sync.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { http } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await setStage({ env: { STREAM_LINGER_SECONDS: '1' } })
})
afterAll(() => stage?.[Symbol.asyncDispose]())

const SECONDS = 10

/** The clip in consecutive parts of `partSeconds` whose clocks start at `startOf`. */
async function parts(name: string, partSeconds: number, startOf: (part: number) => number): Promise<Buffer> {
  const clip = await stage.clip({ seconds: SECONDS, width: 320, height: 240, fps: 30, gop: 30, audio: 'flash-beep' })
  const file = (part: number | string) => join(stage.folder, `${name}-${part}.ts`)
  const copy = ['-v', 'error', '-y', '-map', '0', '-c', 'copy']
  const [input, ...output] = [clip, '-f', 'segment', '-segment_time', String(partSeconds), '-reset_timestamps', '1']
  await runTool(ffmpegPath(), ['-i', input, ...copy, ...output, file('%d')])
  const bytes: Buffer[] = []
  for (let part = 0; part * partSeconds < SECONDS; part++) {
    const moved = ['-output_ts_offset', String(startOf(part)), '-f', 'mpegts', file(`moved-${part}`)]
    await runTool(ffmpegPath(), ['-i', file(part), ...copy, ...moved])
    bytes.push(await readFile(file(`moved-${part}`)))
  }
  return Buffer.concat(bytes)
}

it.each<[string, number, (part: number) => number]>([
  ['jumps ahead by 3 s', 5, (part) => part * 8],
  ['jumps ahead by 9 s', 5, (part) => part * 14],
  ['goes back by 1 s', 5, (part) => part * 4],
  ['begins anew each second', 1, () => 0],
])('a clock that %s costs nothing, and audio and video stay in sync', async (what, seconds, startOf) => {
  const name = what.replaceAll(' ', '-')
  const body = await parts(name, seconds, startOf)
  const posted = http('POST', `${stage.url}/ingest/${name}`, { body })
  await stage.waitForStatus(name, 'frames', ({ egress }) => egress.fps > 0)
  const began = performance.now()
  await using viewer = await record(`${stage.url}/out/${name}.ts`)
  expect((await posted).status).toBe(200)
  const tookMs = performance.now() - began
  viewer.stop()
  expect(tookMs).toBeLessThan((SECONDS + 2) * 1000)
  const frames = (await decodeNumbers(viewer.bytes())).filter(({ number }) => number !== undefined)
  const end = frames.findIndex(({ number }) => number === SECONDS * 30 - 1)
  const shown = end < 0 ? frames : frames.slice(0, end + 1)
  const steps = shown.slice(1).map(({ pts }, index) => (pts - shown[index]!.pts) / 90)
  expect(Math.max(...steps)).toBeLessThan(400)
  // Numbers and times advance from the first half to the end, with hardly any loss.
  const [first, last] = [shown[0]!, shown.at(-1)!]
  expect(first.number).toBeLessThan(SECONDS * 15)
  expect(last.number).toBeGreaterThan(SECONDS * 30 - 30)
  const numbers = last.number! - first.number!
  expect(new Set(shown.map(({ number }) => number)).size).toBeGreaterThan(0.9 * numbers)
  expect(Math.abs((last.pts - first.pts) / 3000 - numbers)).toBeLessThan(15)
  const offsets = (await measureSync(viewer.bytes())).map(({ offsetMs }) => offsetMs)
  expect(offsets.length).toBeGreaterThanOrEqual(4)
  for (const offset of offsets) expect(Math.abs(offset)).toBeLessThan(100)
})
