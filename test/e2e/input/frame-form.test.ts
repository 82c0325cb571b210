import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { decodeGray, probePackets } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

let stage: Stage
beforeAll(async () => {
  const fixtures = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
  stage = await setStage({
    env: { PIPELINE_DIR: fixtures, WARM_PIPELINES: '0', MAX_STREAMS: '8', STREAM_LINGER_SECONDS: '0' },
  })
})
afterAll(() => stage?.[Symbol.asyncDispose]())

/** A transport stream of a generated scene, written by ffmpeg. */
async function make(name: string, source: string, filters: string, encoder: string[]): Promise<string> {
  const file = join(stage.folder, `${name}.ts`)
  const input = ['-f', 'lavfi', '-i', source, '-t', '10', '-vf', filters]
  await runTool(ffmpegPath(), ['-v', 'error', '-y', ...input, ...encoder, '-f', 'mpegts', file])
  return file
}

/** Evaluating an expression per pixel takes seconds, so the first frames are repeated. */
const repeated = (frames: number) => `loop=-1:${frames},setpts=N/FRAME_RATE/TB`

/** About two seconds of output, once the pipeline returns frames. */
async function watch(name: string, file: string, query: string): Promise<Buffer> {
  await using publisher = await stage.publish(name, file, { query })
  await stage.waitForStatus(name, 'outputs', ({ inference }) => inference.fps > 0)
  await using viewer = await record(`${stage.url}/out/${name}.ts`)
  await stage.waitForStatus(name, 'frames for the viewer', () => viewer.bytes().length > 4000)
  await sleep(2000)
  viewer.stop()
  await publisher.kill()
  return viewer.bytes()
}

const X264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '25']
const X265 = ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=none:bframes=0:keyint=25']

describe('non-square pixels', () => {
  it.each([
    ['16:11 in H.264', [360, 288], [16, 11], X264, '?pipeline=noop', [524, 288]],
    ['16:11 in HEVC', [360, 288], [16, 11], X265, '?pipeline=noop', [524, 288]],
    ['10:11 in H.264', [352, 240], [10, 11], X264, '?pipeline=noop', [352, 264]],
    [
      '16:11 for a pipeline with its own size',
      [360, 288],
      [16, 11],
      X264,
      '?pipeline=noop&params={"width":256,"height":192}',
      [256, 192],
    ],
    ['10:11 for RGB', [352, 240], [10, 11], X265, '?pipeline=rgb', [96, 64]],
  ] as const)('%s: a circle is a circle', async (name, [width, height], [across, up], encoder, query, expected) => {
    // A circle with a radius of a third of the displayed height.
    const distance = `hypot((X-W/2)*${across}/${up}\\,Y-H/2)`
    const circle = `geq=lum='if(lt(${distance}\\,H/3)\\,235\\,16)':cb=128:cr=128,${repeated(1)},setsar=${across}/${up}`
    const stream = name.replaceAll(/[^a-z0-9]+/gi, '-')
    const file = await make(stream, `color=s=${width}x${height}:r=25`, circle, encoder)
    const bytes = await watch(stream, file, query)
    const [video] = await probePackets(bytes)
    expect([video?.width, video?.height]).toEqual(expected)
    const [columns, rows] = expected
    const { frames } = await decodeGray(bytes, 'format=gray', columns * rows)
    const { luma } = frames.at(-1)!
    const bright = (x: number, y: number) => luma[y * columns + x]! > 125
    const inRow = Array.from({ length: columns }, (_, x) => bright(x, rows >> 1)).filter(Boolean).length
    const inColumn = Array.from({ length: rows }, (_, y) => bright(columns >> 1, y)).filter(Boolean).length
    expect(Math.abs(inRow - inColumn)).toBeLessThanOrEqual(Math.max(2, 0.03 * inColumn))
    expect(inColumn).toBeGreaterThan(rows / 2)
  })
})

describe('interlaced video', () => {
  const SIZE = [320, 288] as const
  /** A bar that moves across the frame by ten columns per field. */
  const BAR = `color=s=${SIZE.join('x')}:r=50,geq=lum='if(between(mod(X-10*N\\,320)\\,0\\,60)\\,220\\,30)':cb=128:cr=128,${repeated(32)}`
  const FIELDS = ['-flags', '+ildct+ilme', '-x264-params', 'tff=1']

  /** Share of pixels that differ from both vertical neighbours, which are alike. */
  function combed(luma: Uint8Array, width: number, height: number): number {
    let count = 0
    for (let at = width; at < width * (height - 1); at++) {
      const [above, here, below] = [luma[at - width]!, luma[at]!, luma[at + width]!]
      if (Math.abs(above - below) < 20 && Math.abs(here - above) > 60) count++
    }
    return count / luma.length
  }

  async function look(bytes: Uint8Array) {
    const { frames } = await decodeGray(bytes, 'format=gray', SIZE[0] * SIZE[1])
    const shares = frames.map(({ luma }) => combed(luma, ...SIZE)).toSorted((a, b) => a - b)
    return { frames, median: shares[shares.length >> 1]! }
  }

  it('of H.264 is deinterlaced frame by frame, and reported', async () => {
    const file = await make('fields', BAR, 'tinterlace=interleave_top,fieldorder=tff', [...X264, ...FIELDS])
    const [raw] = await runTool(ffmpegPath(), [
      '-v',
      'error',
      '-i',
      file,
      '-t',
      '1',
      '-c',
      'copy',
      '-f',
      'mpegts',
      'pipe:1',
    ])
    expect((await look(raw!)).median).toBeGreaterThan(0.01)
    await using _ = await stage.publish('fields', file, { query: '?pipeline=noop' })
    const { ingest } = await stage.waitForStatus('fields', 'outputs', ({ inference }) => inference.fps > 0)
    expect(ingest).toMatchObject({ interlaced: true, pixelAspect: null, scaledTo: null })
    await using viewer = await record(`${stage.url}/out/fields.ts`)
    await sleep(3000)
    viewer.stop()
    const { frames, median } = await look(viewer.bytes())
    expect(median).toBeLessThan(0.0005)
    expect(frames.length).toBeGreaterThan(25)
    const steps = frames.slice(1).map(({ pts }, index) => pts - frames[index]!.pts)
    // On a busy machine a frame may be missing; none may be doubled or shifted in time.
    expect(steps.every((step) => step > 0 && step % 3600 === 0)).toBe(true)
  })

  it('of HEVC, coded field by field, is shown in full height', async () => {
    const encoder = X265.map((arg) => arg.replace('bframes', 'interlace=tff:bframes'))
    const file = await make('hevc', BAR, 'tinterlace=interleave_top,separatefields,setfield=prog', encoder)
    const bytes = await watch('hevc-fields', file, '?pipeline=noop')
    const [video] = await probePackets(bytes)
    expect([video?.width, video?.height]).toEqual(SIZE)
    expect((await look(bytes)).median).toBeLessThan(0.0005)
  })

  it('leaves progressive frames unchanged, though the stream may contain fields', async () => {
    const lines = `geq=lum='if(mod(Y\\,2)\\,200\\,40)':cb=128:cr=128,${repeated(1)}`
    const fake = [...X264, '-x264-params', 'fake-interlaced=1', '-qp', '10']
    const file = await make('whole', `color=s=${SIZE.join('x')}:r=25`, lines, fake)
    const bytes = await watch('whole', file, '?pipeline=noop')
    expect((await look(bytes)).median).toBeGreaterThan(0.9)
  })
})
