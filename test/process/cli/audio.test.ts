import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { decodeAudio } from '../../helpers/media/probe-ts.ts'
import { measureSync } from '../../helpers/media/sync.ts'
import { measureTone } from '../../helpers/media/tone.ts'
import { installPythonFixtures, type PythonFolder } from '../../helpers/package/python.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { millraceCli } from '../../helpers/server/cli.ts'

const SECONDS = 2
/** A tone of 1 kHz at half of full scale, with video. */
const TONE = [
  ...['-f', 'lavfi', '-i', `testsrc2=s=160x120:r=30:d=${SECONDS}`],
  ...['-f', 'lavfi', '-i', `aevalsrc=0.5*sin(2*PI*1000*t):s=48000:c=stereo:d=${SECONDS}`],
]

/** Both languages have the same contract. */
const LANGUAGES = [
  ['TypeScript', ''],
  ['Python', 'py-'],
] as const

let python: PythonFolder
const at = (name: string) => join(python.directory, name)
beforeAll(async () => {
  python = await installPythonFixtures('audio')
  cpSync(fileURLToPath(new URL('../../fixtures/pipelines/audio', import.meta.url)), at('audio-typescript'), {
    recursive: true,
  })
  await runTool(ffmpegPath(), ['-v', 'error', ...TONE, '-c:v', 'libx264', '-c:a', 'aac', '-b:a', '192k', at('in.mp4')])
}, 400_000)
afterAll(() => python?.[Symbol.dispose]())

const millrace = (...args: string[]) =>
  millraceCli(args, { cwd: python.directory, settings: { PIPELINE_DIR: python.directory } })
const run = (pipeline: string, output: string, ...more: string[]) =>
  millrace('run', pipeline, 'in.mp4', '-o', output, '--json', ...more)

async function toneOf(file: string, frequency = 1000) {
  const pieces = await decodeAudio(at(file))
  // Encoders have a fade at the start and the end.
  return measureTone(pieces, frequency, 0.1, SECONDS - 0.1)
}

async function packetsOf(file: string): Promise<string> {
  const args = ['-v', 'error', '-i', at(file), '-map', '0:a', '-c', 'copy', '-f', 'adts', 'pipe:1']
  const [bytes] = await runTool(ffmpegPath(), args)
  return createHash('sha256').update(bytes!).digest('hex')
}

const linesOf = (file: string) =>
  readFileSync(at(file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { pts: number; data: Record<string, unknown> })

describe.each(LANGUAGES)('a file through audio pipelines in %s', (language, prefix) => {
  const name = (pipeline: string) => `${prefix}${pipeline}`

  test('an audio-only pipeline changes it, and frames bypass the pipeline', async () => {
    const out = `${language}-gain.mp4`
    const { events, stderr, code } = await run(name('gain'), out, '--params', '{"gain":0.5}')
    expect(events.at(-1), stderr).toMatchObject({ type: 'done', frames: 60, outputs: 60, broken: 0 })
    expect(code).toBe(0)
    const tone = await toneOf(out)
    expect(tone.peak).toBeGreaterThan(0.235)
    expect(tone.peak).toBeLessThan(0.265)
    expect(tone.roughest).toBeLessThan(0.1)
    expect(readdirSync(python.directory).filter((one) => one.includes('partial'))).toEqual([])
  })

  test('one that listens leaves audio unchanged, and its data is written to a file', async () => {
    const out = `${language}-heard.mp4`
    const { stderr, code } = await run(name('listens'), out, '--data', `${out}.jsonl`)
    expect(code, stderr).toBe(0)
    expect(await packetsOf(out)).toBe(await packetsOf('in.mp4'))
    const lines = linesOf(`${out}.jsonl`)
    expect(lines.length).toBeGreaterThanOrEqual(SECONDS * 100)
    expect(lines.map(({ pts }) => pts)).toEqual(lines.map((_, index) => index * 900))
    const [, ...rest] = lines.slice(0, SECONDS * 100 - 5)
    expect(rest.every(({ data }) => Math.abs(Number(data.peak) - 0.5) < 0.06)).toBe(true)
  })

  test('one that replaces it', async () => {
    const out = `${language}-own.webm`
    const { stderr, code } = await run(name('speaks'), out)
    expect(code, stderr).toBe(0)
    const tone = await toneOf(out, 500)
    expect(tone.seconds).toBeGreaterThan(1.5)
    expect(tone.peak).toBeGreaterThan(0.23)
    expect(tone.peak).toBeLessThan(0.27)
    expect(tone.roughest).toBeLessThan(0.1)
  })

  test('an error is reported with its time and leaves no file; with --keep-going the audio stays unchanged', async () => {
    const fault = ['--params', '{"fault":"throw"}']
    const ended = await run(name('gain'), 'thrown.mp4', ...fault)
    expect(ended.stderr).toMatch(/millrace: audio up to \d\.\d{3} s: .*no gain today/)
    expect(ended.code).toBe(1)
    expect(existsSync(at('thrown.mp4'))).toBe(false)
    const out = `${language}-kept.mkv`
    expect((await run(name('gain'), out, ...fault, '--keep-going')).code).toBe(3)
    const { peak, roughest } = await toneOf(out)
    expect(peak).toBeGreaterThan(0.45)
    expect(roughest).toBeLessThan(0.1)
  })

  test('`measure` reports the cost of a frame of audio', async () => {
    const { stdout, stderr, code } = await millrace('measure', name('gain'), '--json')
    expect(code, stderr).toBe(0)
    const measured = JSON.parse(stdout)
    expect(measured).toMatchObject({ pipeline: name('gain'), audio: { lengthMs: 20, channels: 2 } })
    expect(measured.audio.frames).toBeGreaterThanOrEqual(50)
    expect(measured.audio.frameMs.p50).toBeGreaterThan(0)
    expect(measured).not.toHaveProperty('frames')
  })
})

test('a chain passes audio through its stages, in both languages', async () => {
  const params = '{"gain":{"gain":0.5},"py-gain":{"gain":0.5},"meter":{"interval_ms":20}}'
  const { events, stderr, code } = await run(
    'effects,gain,py-gain,meter',
    'chain.mkv',
    '--params',
    params,
    '--data',
    'chain.jsonl',
  )
  expect(events.at(-1), stderr).toMatchObject({ type: 'done', frames: 60, outputs: 60 })
  expect(code).toBe(0)
  expect((await toneOf('chain.mkv')).peak).toBeCloseTo(0.125, 1)
  // The meter measures the output of the previous stages: -18 dB.
  const levels = linesOf('chain.jsonl').slice(5, 90)
  expect(levels.length).toBe(85)
  for (const { data } of levels) expect(JSON.stringify(data)).toMatch(/"peakDb":-1[78]/)
})

test('frames and audio stay in sync, also for a part', async () => {
  const clip = { file: at('flash.mp4'), seconds: 6, width: 320, height: 240, fps: 30, audio: 'flash-beep' } as const
  await makeNumberedClip(clip)
  const part = ['--start', '1.5', '--duration', '4', '--params', '{"gain":1}']
  const { code, stderr } = await millrace('run', 'gain', 'flash.mp4', '-o', 'flash.ts', ...part)
  expect(code, stderr).toBe(0)
  const syncs = await measureSync(readFileSync(at('flash.ts')))
  expect(syncs.length).toBeGreaterThan(2)
  for (const { offsetMs } of syncs) expect(Math.abs(offsetMs)).toBeLessThan(25)
})

test('INPUT without audio is refused by an audio-only pipeline', async () => {
  const args = ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=s=160x120:d=1', '-c:v', 'libx264', at('mute.mp4')]
  await runTool(ffmpegPath(), args)
  const { code, stderr } = await millrace('run', 'gain', 'mute.mp4', '-o', 'x.mp4')
  expect(stderr).toMatch(/INPUT mute\.mp4 has no audio, and the pipeline works on nothing else/)
  expect(code).toBe(2)
})
