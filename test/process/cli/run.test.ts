import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runPipeline } from 'millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Effects } from '../../../pipelines/effects/index.ts'
import { frameBytes, type VideoFrame } from '../../../src/core/media/frame.ts'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { outsideFolder, writePackage } from '../../helpers/package/outside-package.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { type CliOptions, millraceCli } from '../../helpers/server/cli.ts'

const SIZE = { width: 320, height: 180 }
const FRAMES = 300

/** `Odd` throws at frame `breakAt`, sleeps `ms` and returns `copies` per frame, and logs its pid. */
const PIPELINES = `import { BaseParams, definePipeline, z } from 'millrace/pipeline'
export const Rgb = definePipeline({ input: { format: 'rgb24' }, load: () => ({ process: (frame) => frame }) })
export const Odd = definePipeline({
  params: BaseParams.extend({ breakAt: z.int().default(0), ms: z.number().default(0), copies: z.int().default(1) }),
  load: (params, { log }) => {
    log.info('pid ' + process.pid)
    let frames = 0
    return {
      async process(frame, params) {
        if (++frames === params.breakAt) throw new RangeError('the fortieth is odd')
        if (params.ms) await new Promise((resolve) => setTimeout(resolve, params.ms))
        return Array.from({ length: params.copies }, () => frame)
      },
    }
  },
})
`

const folder = outsideFolder()
const at = (name: string) => join(folder.path, name)
const pipelineDir = at('pipelines')
const millrace = (args: string[], options: CliOptions = {}) =>
  millraceCli(args, { cwd: folder.path, settings: { PIPELINE_DIR: pipelineDir }, ...options })

beforeAll(async () => {
  await makeNumberedClip({ file: at('clip.mp4'), seconds: FRAMES / 30, fps: 30, ...SIZE, bframes: 2, audio: true })
  const pipelines = { odd: './odd.js#Odd', rgb: './odd.js#Rgb' }
  writePackage(join(pipelineDir, 'odd'), { name: 'odd', pipelines, files: { 'odd.js': PIPELINES } })
}, 120_000)
afterAll(() => folder[Symbol.dispose]())

/** Files in the folder besides those of the tests. */
function outputs(): string[] {
  const given = ['clip.mp4', 'pipelines', 'models', 'images', 'damaged.mp4']
  return readdirSync(folder.path).filter((name) => !given.includes(name))
}

async function decode(file: string, format: VideoFrame['format'], ...args: string[]): Promise<VideoFrame[]> {
  const raw = ['-map', '0:V:0', '-f', 'rawvideo', '-pix_fmt', format, 'pipe:1']
  const [bytes] = await runTool(ffmpegPath(), ['-v', 'error', ...args, '-i', file, '-vsync', 'passthrough', ...raw])
  const size = frameBytes(format, SIZE.width, SIZE.height)
  return Array.from({ length: bytes!.length / size }, (_, index) => {
    const data = new Uint8Array(bytes!.subarray(index * size, (index + 1) * size))
    return { data, format, ...SIZE, pts: index * 3000 }
  })
}

/** The audio packets of a file. */
async function audioHash(file: string): Promise<string> {
  const [bytes] = await runTool(ffmpegPath(), [
    '-v',
    'error',
    '-i',
    file,
    '-map',
    '0:a',
    '-c',
    'copy',
    '-f',
    'adts',
    'pipe:1',
  ])
  return createHash('sha256').update(bytes!).digest('hex')
}

const hash = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

test('every frame is written, in order, with the same bytes as in the testing kit', async () => {
  const params = { effect: 'edges', strength: 0.7 }
  const { code, events } = await millrace([
    'run',
    'effects',
    'clip.mp4',
    '-o',
    'bare.yuv',
    '--json',
    '--params',
    JSON.stringify(params),
  ])
  expect(events.at(-1)).toMatchObject({ type: 'done', frames: FRAMES, outputs: FRAMES, broken: 0 })
  expect(code).toBe(0)
  const frames = await decode(at('clip.mp4'), Effects.input?.format ?? 'yuv420p')
  expect(frames).toHaveLength(FRAMES)
  const kit = await runPipeline(Effects, frames, params)
  expect(kit.outputs).toHaveLength(FRAMES)
  expect(hash(readFileSync(at('bare.yuv')))).toBe(hash(Buffer.concat(kit.outputs.map(({ data }) => data))))
})

test('a chain runs one pipeline after the other, each in its own format', async () => {
  const params = JSON.stringify({ effects: { effect: 'invert' }, 'effects-2': { effect: 'invert' } })
  const chain = ['run', 'effects,rgb,effects', 'clip.mp4', '-o', 'chain.yuv', '--json', '--duration', '1']
  const { code, events } = await millrace([...chain, '--params', params])
  expect(events.at(-1)).toMatchObject({ type: 'done', frames: 30, outputs: 30, broken: 0 })
  expect(code).toBe(0)
  const bytes = frameBytes('yuv420p', SIZE.width, SIZE.height)
  const [first] = await decode(at('clip.mp4'), 'yuv420p', '-t', '0.1')
  const out = readFileSync(at('chain.yuv')).subarray(0, bytes)
  // Inverted twice, through RGB: unchanged except for rounding and colours outside RGB.
  const difference = first!.data.reduce((sum, sample, at) => sum + Math.abs(sample - out[at]!), 0) / bytes
  expect(difference).toBeLessThan(1.5)
  const wrong = await millrace([...chain, '--params', '{"effect":"invert"}'])
  expect(wrong.code).toBe(2)
  expect(wrong.stderr).toMatch(/no stage of the chain; accepted: effects, rgb, effects-2/)
})

test('a film keeps its frames, their timestamps and its audio', async () => {
  const { code, stderr } = await millrace(['run', 'noop', 'clip.mp4', '-o', 'film.mp4'])
  expect(stderr).toMatch(/film\.mp4: 300 frames in, 300 out, [\d.]+ s, [\d.]+ fps/)
  expect(code).toBe(0)
  expect(await audioHash(at('film.mp4'))).toBe(await audioHash(at('clip.mp4')))
  const times = async (file: string) => {
    const [text] = await runTool(ffmpegPath(), [
      '-v',
      'error',
      '-i',
      file,
      '-map',
      '0:v',
      '-vsync',
      'passthrough',
      '-enc_time_base',
      '1:90000',
      '-f',
      'framecrc',
      'pipe:1',
    ])
    return [...text!.toString().matchAll(/^0, +\d+, +(\d+),/gm)].map(([, pts]) => Number(pts))
  }
  const shown = await times(at('film.mp4'))
  expect(shown).toHaveLength(FRAMES)
  expect(shown).toEqual(await times(at('clip.mp4')))
})

test('--start and --duration select a part, with its audio', async () => {
  const { code, events } = await millrace([
    'run',
    'noop',
    'clip.mp4',
    '-o',
    'part.mkv',
    '--start',
    '2',
    '--duration',
    '1.5',
    '--json',
  ])
  expect(code).toBe(0)
  expect(events.at(-1)).toMatchObject({ type: 'done', frames: 45, outputs: 45 })
  const [whole, part] = [await decode(at('clip.mp4'), 'gray'), await decode(at('part.mkv'), 'gray')]
  // The encoder changes samples slightly; another frame would differ by far more.
  const distance = (a: Uint8Array, b: Uint8Array) =>
    a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length
  const nearest = (frame: VideoFrame) =>
    whole.map(({ data }) => distance(data, frame.data)).reduce((best, d, i, all) => (d < all[best]! ? i : best), 0)
  expect([nearest(part[0]!), nearest(part.at(-1)!)]).toEqual([60, 104])
})

test('a folder of images is read in the order of the numbers in their names', async () => {
  mkdirSync(join(at('images'), 'thumbnails.png'), { recursive: true })
  const frames = (await decode(at('clip.mp4'), 'gray')).slice(0, 12)
  for (const [index, { data }] of frames.entries())
    writeFileSync(join(at('images'), `shot '${index + 1}'.png`), await png(data))
  const { code, events } = await millrace([
    'run',
    'noop',
    'images',
    '-o',
    'images.gray',
    '--fps',
    '10',
    '--start',
    '0.2',
    '--json',
  ])
  expect(events.at(-1)).toMatchObject({ type: 'done', frames: 10, outputs: 10 })
  expect(code).toBe(0)
  const luma = await decode(at('images'), 'gray').catch(() => [])
  expect(luma).toEqual([])
  const bytes = readFileSync(at('images.gray'))
  // noop receives yuv420p: luma in limited range, chroma near neutral.
  const size = frameBytes('yuv420p', SIZE.width, SIZE.height)
  expect(bytes.length).toBe(10 * size)
  for (const [index, frame] of frames.slice(2).entries()) {
    const luma = bytes.subarray(index * size, index * size + frame.data.length)
    const off = luma.reduce((sum, value, i) => sum + Math.abs(value - (16 + (frame.data[i]! * 219) / 255)), 0)
    expect(off / luma.length).toBeLessThan(1)
  }
})

async function png(gray: Uint8Array): Promise<Buffer> {
  const args = [
    '-v',
    'error',
    '-f',
    'rawvideo',
    '-pix_fmt',
    'gray',
    '-s',
    `${SIZE.width}x${SIZE.height}`,
    '-i',
    'pipe:0',
  ]
  const [bytes] = await runTool(ffmpegPath(), [...args, '-f', 'image2pipe', '-c:v', 'png', 'pipe:1'], { input: gray })
  return bytes!
}

describe('an error names the frame and leaves no file', () => {
  test('when the runner is killed', async () => {
    const before = outputs()
    let killed = 0
    const { code, stderr, events } = await millrace(
      ['run', 'odd', 'clip.mp4', '-o', 'killed.mp4', '--params', '{"ms":20}', '--json'],
      {
        onEvent({ type, message, frames }) {
          if (type === 'log') killed = Number(/pid (\d+)/.exec(String(message))?.[1])
          if (type === 'progress' && Number(frames) > 20) process.kill(killed, 'SIGKILL')
        },
      },
    )
    expect(code).toBe(1)
    const named = /millrace: frame (\d+) at ([\d.]+) s: the pipeline's process was ended by SIGKILL/.exec(stderr)
    expect(named, stderr).not.toBeNull()
    const [, frame, seconds] = named!.map(Number)
    expect(frame).toBeGreaterThan(20)
    expect(frame).toBeLessThan(FRAMES)
    expect(seconds).toBeCloseTo((frame! - 1) / 30, 2)
    expect(events.at(-1)).toMatchObject({ type: 'failed', message: expect.stringContaining(`frame ${frame}`) })
    expect(outputs()).toEqual(before)
  })

  test('when the pipeline throws, and an earlier file stays unchanged', async () => {
    writeFileSync(at('kept.mp4'), 'what was there')
    const { code, stderr } = await millrace(['run', 'odd', 'clip.mp4', '-o', 'kept.mp4', '--params', '{"breakAt":40}'])
    expect(stderr).toMatch(/millrace: frame 40 at 1\.300 s: RangeError: the fortieth is odd/)
    expect(code).toBe(1)
    expect(readFileSync(at('kept.mp4'), 'utf8')).toBe('what was there')
    expect(readdirSync(folder.path).filter((name) => name.includes('partial'))).toEqual([])
  })

  test('with --keep-going the frame is left out, and the exit code reports it', async () => {
    const { code, stderr } = await millrace([
      'run',
      'odd',
      'clip.mp4',
      '-o',
      'most.mp4',
      '--params',
      '{"breakAt":40}',
      '--keep-going',
    ])
    expect(stderr).toContain('broken: frame 40 at 1.300 s: RangeError: the fortieth is odd')
    expect(stderr).toContain('300 frames in, 299 out, without 1 broken')
    expect(code).toBe(3)
  })

  test('when a frame takes too long', async () => {
    const { code, stderr } = await millrace([
      'run',
      'odd',
      'clip.mp4',
      '-o',
      'late.mp4',
      '--params',
      '{"ms":60000}',
      '--timeout',
      '1',
    ])
    expect(stderr).toMatch(/frame 1 at 0\.000 s: the pipeline did not finish it within 1 s/)
    expect(code).toBe(1)
  })

  test('when the input is damaged', async () => {
    const bytes = readFileSync(at('clip.mp4'))
    // Inside frame data; headers and index stay intact.
    const middle = Math.floor(bytes.length / 2)
    bytes.fill(0xff, middle, middle + 6000)
    writeFileSync(at('damaged.mp4'), bytes)
    const { code, stderr } = await millrace(['run', 'noop', 'damaged.mp4', '-o', 'damaged.mkv'])
    const seconds = Number(/INPUT damaged\.mp4 cannot be decoded after frame \d+ at ([\d.]+) s/.exec(stderr)?.[1])
    expect(seconds, stderr).toBeGreaterThan(2)
    expect(seconds).toBeLessThan(8)
    expect(code).toBe(1)
    expect(outputs()).not.toContain('damaged.mkv')
  })

  test('when the process is asked to end', async () => {
    const asked = millrace(['run', 'odd', 'clip.mp4', '-o', 'ended.mp4', '--params', '{"ms":20}', '--json'], {
      onEvent({ type, message }) {
        if (type !== 'log') return
        const runner = Number(/pid (\d+)/.exec(String(message))?.[1])
        const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${runner}/status`, 'utf8'))?.[1])
        process.kill(parent, 'SIGTERM')
      },
    })
    expect((await asked).code).toBe(130)
    expect(outputs()).not.toContain('ended.mp4')
  })
})

test('several outputs per frame are all in the file', async () => {
  const { code, events } = await millrace([
    'run',
    'odd',
    'clip.mp4',
    '-o',
    'twice.mkv',
    '--params',
    '{"copies":2}',
    '--duration',
    '1',
    '--json',
  ])
  expect(events.at(-1)).toMatchObject({ type: 'done', frames: 30, outputs: 60 })
  expect(code).toBe(0)
  expect(await decode(at('twice.mkv'), 'gray')).toHaveLength(60)
})

test.each([
  { wrong: 'a pipeline', args: ['nope', 'clip.mp4', '-o', 'x.mp4'], says: 'there is no pipeline nope' },
  { wrong: 'INPUT', args: ['noop', 'none.mp4', '-o', 'x.mp4'], says: 'INPUT none.mp4 is not there' },
  { wrong: 'an ending', args: ['noop', 'clip.mp4', '-o', 'x.txt'], says: 'accepted are names that end in .mp4' },
  { wrong: 'OUTPUT', args: ['noop', 'clip.mp4', '-o', './clip.mp4'], says: 'is INPUT itself' },
  { wrong: 'params', args: ['effects', 'clip.mp4', '-o', 'x.mp4', '--params', '{"strength":7}'], says: 'strength: ' },
  { wrong: 'JSON', args: ['effects', 'clip.mp4', '-o', 'x.mp4', '--params', '{'], says: '--params is not JSON' },
  { wrong: 'a number', args: ['noop', 'clip.mp4', '-o', 'x.mp4', '--start', 'soon'], says: 'accepted is a number' },
  { wrong: 'a time', args: ['noop', 'clip.mp4', '-o', 'x.mp4', '--start', '11'], says: 'has 10' },
  { wrong: 'audio', args: ['noop', 'clip.mp4', '-o', 'x.webm'], says: 'the audio of INPUT is aac; .webm takes opus' },
])('$wrong is refused with one line and exit code 2', async ({ args, says }) => {
  const { code, stderr } = await millrace(['run', ...args])
  expect(stderr).toContain(says)
  expect(
    stderr
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('loaded')),
  ).toHaveLength(1)
  expect(code).toBe(2)
  expect(outputs().filter((name) => name.startsWith('x.'))).toEqual([])
})

test('an unknown param is named', async () => {
  const params = '{"efect":"edges"}'
  const { code, stderr } = await millrace(['run', 'effects', 'clip.mp4', '-o', 'named.mp4', '--params', params])
  expect(stderr).toMatch(/^ +warn: effects has no param efect: it is ignored$/m)
  expect(code).toBe(0)
})

test('a file without video is reported', async () => {
  const text = at('models')
  mkdirSync(text, { recursive: true })
  const file = join(text, 'words.mp4')
  writeFileSync(file, 'these are words')
  truncateSync(file, statSync(file).size)
  const { code, stderr } = await millrace(['run', 'noop', file, '-o', 'x.mp4'])
  expect(stderr).toMatch(/^millrace: INPUT .*words\.mp4 cannot be read: /)
  expect(code).toBe(1)
})
