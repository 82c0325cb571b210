import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { decodeAudio, probePackets } from '../../helpers/media/probe-ts.ts'
import { measureTone } from '../../helpers/media/tone.ts'
import { installPythonFixtures, type PythonFolder } from '../../helpers/package/python.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { type CliOptions, millraceCli } from '../../helpers/server/cli.ts'

const SECONDS = 2
/** A tone of 1 kHz at half of full scale. */
const TONE = ['-f', 'lavfi', '-i', `aevalsrc=0.5*sin(2*PI*1000*t):s=48000:c=stereo:d=${SECONDS}`]
const VIDEO = ['-f', 'lavfi', '-i', `testsrc2=s=160x120:r=30:d=${SECONDS}`]

let python: PythonFolder
const at = (name: string) => join(python.directory, name)
beforeAll(async () => {
  python = await installPythonFixtures('audio')
  cpSync(fileURLToPath(new URL('../../fixtures/pipelines/audio', import.meta.url)), at('audio-typescript'), {
    recursive: true,
  })
  const make = (...args: string[]) => runTool(ffmpegPath(), ['-v', 'error', ...TONE, ...args])
  await make(at('in.wav'))
  await make('-c:a', 'aac', '-b:a', '192k', at('in.m4a'))
  await make(...VIDEO, '-c:v', 'libx264', '-c:a', 'aac', at('in.mp4'))
}, 400_000)
afterAll(() => python?.[Symbol.dispose]())

const millrace = (args: string[], options: CliOptions = {}) =>
  millraceCli(['run', ...args], { cwd: python.directory, settings: { PIPELINE_DIR: python.directory }, ...options })

/** Codecs of its tracks. */
const codecsOf = async (file: string) => (await probePackets(at(file))).map(({ codec }) => codec)

async function peakOf(file: string): Promise<number> {
  // Encoders have a fade at the start and the end.
  const { peak, roughest, seconds } = measureTone(await decodeAudio(at(file)), 1000, 0.1, SECONDS - 0.1)
  expect(seconds).toBeGreaterThan(SECONDS - 0.3)
  expect(roughest).toBeLessThan(0.1)
  return peak
}

async function samplesOf(file: string): Promise<string> {
  const [bytes] = await runTool(ffmpegPath(), ['-v', 'error', '-i', at(file), '-f', 's16le', 'pipe:1'])
  return createHash('sha256').update(bytes!).digest('hex')
}

const noFileIn = (name: string) => {
  expect(existsSync(at(name))).toBe(false)
  expect(readdirSync(python.directory).filter((one) => one.includes('partial'))).toEqual([])
}

/** Both languages have the same contract. */
describe.each([
  ['TypeScript', ''],
  ['Python', 'py-'],
])('a file with audio only through pipelines in %s', (language, prefix) => {
  test('is processed, with progress by time', async () => {
    const out = `${language}.wav`
    const run = await millrace([`${prefix}gain`, 'in.wav', '-o', out, '--json', '--params', '{"gain":0.25}'])
    expect(run.events.at(-1), run.stderr).toMatchObject({ type: 'done', output: out, frames: 0, outputs: 0, broken: 0 })
    expect(run.events.at(-1)!.audioSeconds).toBeCloseTo(SECONDS, 1)
    expect(run.events.at(-1)!.speed).toBeGreaterThan(0)
    expect(run.code).toBe(0)
    expect(await peakOf(out)).toBeCloseTo(0.125, 2)
  })

  test('is listened to: the messages are written, and the audio if wanted', async () => {
    const { stderr, code } = await millrace([`${prefix}listens`, 'in.wav', '--data', `${language}.jsonl`])
    expect(stderr).toMatch(new RegExp(`^${language}\\.jsonl: 2\\.0 s of audio, [\\d.]+ s, [\\d.]+x$`, 'm'))
    expect(code).toBe(0)
    const lines = readFileSync(at(`${language}.jsonl`), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { pts: number; data: { peak: number } })
    expect(lines.map(({ pts }) => pts)).toEqual(Array.from({ length: SECONDS * 100 }, (_, index) => index * 900))
    for (const { data } of lines) expect(data.peak).toBeCloseTo(0.5, 1)
    const out = `${language}-copy.wav`
    expect((await millrace([`${prefix}listens`, 'in.wav', '-o', out])).code).toBe(0)
    expect(await samplesOf(out)).toBe(await samplesOf('in.wav'))
  })

  test('an error is reported with its time and leaves no file', async () => {
    const fault = ['--params', '{"fault":"throw"}']
    const { stderr, code } = await millrace([`${prefix}gain`, 'in.wav', '-o', 'thrown.wav', ...fault])
    expect(stderr).toMatch(/millrace: audio up to \d\.\d{3} s: .*no gain today/)
    expect(code).toBe(1)
    noFileIn('thrown.wav')
    const out = `${language}-kept.wav`
    expect((await millrace([`${prefix}gain`, 'in.wav', '-o', out, ...fault, '--keep-going'])).code).toBe(3)
    expect(await peakOf(out)).toBeCloseTo(0.5, 2)
  })
})

test.each([
  ['flac', 'flac'],
  ['mp3', 'mp3'],
  ['m4a', 'aac'],
  ['ogg', 'opus'],
  ['opus', 'opus'],
  ['mp4', 'aac'],
  ['mkv', 'aac'],
  ['ts', 'aac'],
  ['webm', 'opus'],
])('the extension .%s determines container and codec', async (extension, codec) => {
  const { stderr, code } = await millrace(['gain', 'in.m4a', '-o', `out.${extension}`])
  expect(code, stderr).toBe(0)
  expect(await codecsOf(`out.${extension}`)).toEqual([codec])
  expect(await peakOf(`out.${extension}`)).toBeCloseTo(0.25, 1)
})

test('of a film, an audio file gets the audio', async () => {
  const { stderr, code } = await millrace(['gain', 'in.mp4', '-o', 'film.wav'])
  expect(stderr).toMatch(/^film\.wav: 2\.0 s of audio, /m)
  expect(code).toBe(0)
  expect(await codecsOf('film.wav')).toEqual(['pcm_s16le'])
  expect(await peakOf('film.wav')).toBeCloseTo(0.25, 1)
})

test('--start and --duration select a part', async () => {
  const part = ['--start', '0.5', '--duration', '1']
  const { events, code } = await millrace(['gain', 'in.wav', '-o', 'part.wav', '--json', ...part])
  expect(code).toBe(0)
  expect(events.at(-1)!.audioSeconds).toBeCloseTo(1, 2)
})

test('the messages of a pipeline that takes frames are written without an output too', async () => {
  const { events, stderr, code } = await millrace(['effects,meter', 'in.mp4', '--data', 'film.jsonl', '--json'])
  expect(events.at(-1), stderr).toMatchObject({ type: 'done', data: 'film.jsonl', frames: 60, outputs: 60 })
  expect(events.at(-1)).not.toHaveProperty('output')
  expect(code).toBe(0)
  expect(readFileSync(at('film.jsonl'), 'utf8').trim().split('\n').length).toBeGreaterThan(15)
})

test('damaged input is reported with its time', async () => {
  const bytes = readFileSync(at('in.m4a'))
  const middle = Math.floor(bytes.length / 2)
  writeFileSync(at('damaged.m4a'), bytes.fill(0xff, middle, middle + 3000))
  const { stderr, code } = await millrace(['gain', 'damaged.m4a', '-o', 'damaged.wav'])
  expect(stderr).toMatch(/millrace: audio up to [01]\.\d{3} s: INPUT cannot be decoded after it: /)
  expect(code).toBe(1)
  noFileIn('damaged.wav')
})

test('an interruption leaves no file', async () => {
  const long = ['-f', 'lavfi', '-i', 'sine=d=3600', '-c:a', 'flac', at('long.flac')]
  await runTool(ffmpegPath(), ['-v', 'error', ...long])
  const { stderr, code } = await millrace(['gain', 'long.flac', '-o', 'long.wav', '--json'], {
    onEvent({ type }, child) {
      if (type === 'progress') child.kill('SIGTERM')
    },
  })
  expect(stderr).toMatch(/it was interrupted after audio up to \d+\.\d{3} s/)
  expect(code).toBe(130)
  noFileIn('long.wav')
})

test.each([
  { wrong: 'INPUT', args: ['effects', 'in.wav', '-o', 'x.mp4'], says: 'INPUT in.wav has no video' },
  { wrong: 'OUTPUT for frames', args: ['effects', 'in.mp4', '-o', 'x.wav'], says: 'OUTPUT x.wav holds audio only' },
  { wrong: 'OUTPUT for audio', args: ['gain', 'in.wav', '-o', 'x.yuv'], says: 'OUTPUT x.yuv holds frames only' },
  { wrong: 'a codec', args: ['meter', 'in.m4a', '-o', 'x.wav'], says: 'the audio of INPUT is aac; .wav takes pcm_u8' },
  { wrong: 'no file', args: ['gain', 'in.wav'], says: '-o OUTPUT is missing; it may be left out with --data FILE' },
  { wrong: 'a time', args: ['gain', 'in.wav', '-o', 'x.wav', '--start', '3'], says: 'INPUT in.wav has 2 s' },
])('$wrong is refused with one line and exit code 2', async ({ args, says }) => {
  const { code, stderr } = await millrace(args)
  expect(stderr).toContain(says)
  const lines = stderr.trim().split('\n')
  expect(lines.filter((line) => !line.startsWith('loaded'))).toHaveLength(1)
  expect(code).toBe(2)
  expect(readdirSync(python.directory).filter((name) => name.startsWith('x.'))).toEqual([])
})
