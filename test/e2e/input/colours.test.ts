import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { record } from '../../helpers/media/record.ts'
import { makeSegments, type Segment } from '../../helpers/media/segments.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { http } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

let stage: Stage
beforeAll(async () => {
  const fixtures = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
  stage = await setStage({
    env: { PIPELINE_DIR: fixtures, WARM_PIPELINES: '0', MAX_STREAMS: '8' },
  })
})
afterAll(() => stage?.[Symbol.asyncDispose]())

type Rgb = [number, number, number]

const SECONDS = 1.5
const FPS = 10
const TOLERANCE = 2

/**
 * `matrix` is the name in the scale filter of ffmpeg; `tags` are those of the bitstream: matrix, primaries, transfer.
 */
type Case = { matrix: string; tags: string[]; range: string; rgb: Rgb }

const GREEN: Case = { matrix: 'bt709', tags: ['bt709', 'bt709', 'bt709'], range: 'tv', rgb: [38, 170, 92] }
const COLOURS: Case[] = [
  { matrix: 'bt601', tags: ['smpte170m', 'smpte170m', 'smpte170m'], range: 'tv', rgb: [196, 58, 37] },
  GREEN,
  { matrix: 'bt709', tags: ['bt709', 'bt709', 'bt709'], range: 'pc', rgb: [52, 60, 201] },
  { matrix: 'bt601', tags: ['bt470bg', 'bt470bg', 'gamma28'], range: 'pc', rgb: [196, 58, 37] },
  { matrix: 'bt2020', tags: ['bt2020nc', 'bt2020', 'bt2020-10'], range: 'tv', rgb: [201, 168, 44] },
  { matrix: 'bt2020', tags: ['bt2020nc', 'bt2020', 'bt2020-10'], range: 'pc', rgb: [40, 150, 190] },
  { matrix: 'smpte240m', tags: ['smpte240m', 'smpte240m', 'smpte240m'], range: 'tv', rgb: [196, 58, 37] },
  { matrix: 'bt709', tags: ['bt709', 'bt709', 'bt709'], range: 'tv', rgb: [196, 58, 37] },
]

function segment(codec: string, { matrix, tags, range, rgb }: Case): Segment {
  const hex = rgb.map((part) => part.toString(16).padStart(2, '0')).join('')
  const [space = '', primaries = '', transfer = ''] = tags
  return [
    ...['-f', 'lavfi', '-i', `color=c=0x${hex}:s=192x96:r=${FPS}`],
    ...['-vf', `format=gbrp,scale=out_color_matrix=${matrix}:out_range=${range}:flags=accurate_rnd,format=yuv420p`],
    ...['-c:v', codec, '-preset', 'ultrafast', '-colorspace', space, '-color_primaries', primaries],
    ...['-color_trc', transfer, '-color_range', range, '-qp', '4', '-bf', '0'],
    ...(codec === 'libx265' ? ['-x265-params', 'log-level=none:bframes=0'] : []),
  ]
}

/** Colour of the centre of each frame. */
async function colours(input: Uint8Array): Promise<Rgb[]> {
  const exact = 'crop=16:16,scale=flags=accurate_rnd+full_chroma_int+full_chroma_inp,format=rgb24'
  const args = ['-v', 'error', '-i', 'pipe:0', '-vf', exact, '-vsync', 'passthrough', '-f', 'rawvideo', 'pipe:1']
  const [raw = Buffer.alloc(0)] = await runTool(ffmpegPath(), args, { input })
  const frameBytes = 16 * 16 * 3
  return Array.from({ length: raw.length / frameBytes }, (_, index) => {
    const at = index * frameBytes + frameBytes / 2
    return [raw[at]!, raw[at + 1]!, raw[at + 2]!]
  })
}

const near = (a: Rgb, b: Rgb) => a.every((part, index) => Math.abs(part - b[index]!) <= TOLERANCE)

const FEW = [COLOURS[0]!, COLOURS[2]!, GREEN, COLOURS[5]!]

it.each([
  ['libx264', 'noop', COLOURS],
  ['libx265', 'rgb', COLOURS],
  ['libx265', 'noop', FEW],
  ['libx264', 'rgb', FEW],
] as const)(
  '%s through %s: colours match within 2 levels in every space and range, and after each change',
  async (codec, pipeline, spaces) => {
    const name = `${codec}-${pipeline}`
    const file = join(stage.folder, `${name}.ts`)
    // The first one includes the start.
    const [first = GREEN, ...others] = spaces
    await makeSegments(
      file,
      SECONDS,
      [first, first, first, ...others].map((colour) => segment(codec, colour)),
    )
    await using publisher = await stage.publish(name, file, { query: `?pipeline=${pipeline}` })
    await stage.waitForStatus(name, 'outputs', ({ inference }) => inference.fps > 0)
    await using viewer = await record(`${stage.url}/out/${name}.ts`)
    await publisher.closed
    await stage.waitForStatus(name, 'its end', ({ publishing }) => !publishing)
    viewer.stop()
    const seen = await colours(viewer.bytes())
    const wrong = seen.filter((colour) => !spaces.some(({ rgb }) => near(colour, rgb)))
    expect(new Set(wrong.map(String))).toEqual(new Set())
    expect(others.filter(({ rgb }) => !seen.some((colour) => near(colour, rgb)))).toEqual([])
  },
  120_000,
)

it('a still has the colours of its frame', async () => {
  const file = join(stage.folder, 'still.ts')
  await makeSegments(file, 20, [segment('libx264', GREEN)])
  await using _ = await stage.publish('still', file, { query: '?pipeline=noop' })
  await stage.waitForStatus('still', 'outputs', ({ inference }) => inference.fps > 0)
  const { bytes } = await http('GET', `${stage.url}/out/still.jpg`)
  const [colour] = await colours(bytes)
  expect(near(colour!, GREEN.rgb), String(colour)).toBe(true)
})
