import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { measureDepartures } from '../../helpers/media/departures.ts'
import { decodeAudio } from '../../helpers/media/probe-ts.ts'
import { type Recording, record } from '../../helpers/media/record.ts'
import { measureSync } from '../../helpers/media/sync.ts'
import { measureTone } from '../../helpers/media/tone.ts'
import { installPythonFixtures, type PythonFolder } from '../../helpers/package/python.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

/** Both languages have the same contract. */
const LANGUAGES = ['typescript', 'python'] as const
const PREFIX = { typescript: '', python: 'py-' }
const AUDIO = { typescript: 'aac', python: 'libopus' }

let python: PythonFolder
let stage: Stage
beforeAll(async () => {
  python = await installPythonFixtures('audio')
  const fixtures = fileURLToPath(new URL('../../fixtures/pipelines/audio', import.meta.url))
  cpSync(fixtures, join(python.directory, 'audio-typescript'), { recursive: true })
  stage = await setStage({ env: { PIPELINE_DIR: python.directory, WARM_PIPELINES: '0', MAX_STREAMS: '8' } })
}, 400_000)
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  python?.[Symbol.dispose]()
})

const VIDEO = ['-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=30']
const TONE = ['-f', 'lavfi', '-i', 'aevalsrc=0.5*sin(2*PI*1000*t):s=48000:c=stereo']
const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '30', '-b:v', '300k']
// Disables the half second by which ffmpeg delays audio after its video.
const AT_ONCE = ['-pes_payload_size', '0', '-muxdelay', '0', '-flush_packets', '1', '-f', 'mpegts']

/** Publishes a steady tone of 1 kHz at half of full scale, with video by default. */
function publishTone(stream: string, query: string, { audio = 'libopus', video = true } = {}) {
  const [first, ...others] = video ? [VIDEO, TONE] : [TONE]
  const [format, kind, flag, input] = first as [string, string, string, string]
  const outputArgs = [...others.flat(), ...(video ? H264 : []), '-c:a', audio, ...AT_ONCE]
  expect(flag).toBe('-i')
  return stage.publish(stream, input, { query, inputArgs: [format, kind], outputArgs })
}

const recordOf = (stream: string) => record(`${stage.url}/out/${stream}.ts`)
const audioOf = async (stream: string) => (await stage.status(stream)).audio
const toneIn = async (recording: Recording, frequency = 1000) => {
  recording.stop()
  return measureTone(await decodeAudio(recording.bytes()), frequency, 0.3)
}

/** Waits until that many more frames have passed the pipeline. */
async function through(stream: string, frames: number, what = 'audio'): Promise<StreamStatus> {
  const before = (await audioOf(stream)).frames
  return stage.waitForStatus(
    stream,
    `${what} through the pipeline`,
    ({ audio }) => audio.frames >= before + frames,
    60_000,
  )
}

async function end(stream: string): Promise<void> {
  expect((await http('DELETE', `${stage.url}/streams/${stream}`)).status).toBe(200)
}

for (const language of LANGUAGES) {
  const name = (pipeline: string) => `${PREFIX[language]}${pipeline}`
  const put = (stream: string, pipeline: string) =>
    httpJson('PUT', `${stage.url}/streams/${stream}/pipeline`, { body: { pipeline } })

  it(`${language}: a tone is output at its level without gaps or clicks, and continues whatever happens to the pipeline`, async () => {
    const stream = name('gain')
    const patch = (params: object) => httpJson('PATCH', `${stage.url}/streams/${stream}/params`, { body: params })
    await publishTone(stream, `?pipeline=${name('gain')}&params={"gain":0.5}`, { audio: AUDIO[language] })
    await through(stream, 25)
    await using quieter = await recordOf(stream)
    await through(stream, 150)
    const half = await toneIn(quieter)
    expect(half.seconds).toBeGreaterThan(2)
    expect(half.peak).toBeGreaterThan(0.235)
    expect(half.peak).toBeLessThan(0.265)
    expect(half.roughest).toBeLessThan(0.1)
    expect(half.largestJumpMs).toBeLessThan(1)
    const { lost } = await audioOf(stream)
    expect((await patch({ gain: 1 })).status).toBe(200)
    await through(stream, 10)
    await using recording = await recordOf(stream)
    await through(stream, 10)
    process.kill((await stage.status(stream)).processes.pipeline!, 'SIGKILL')
    await stage.waitForStatus(stream, 'a restart', ({ inference }) => inference.restarts > 0)
    await through(stream, 10, 'audio after a crash')
    expect((await patch({ model: 'b' })).status).toBeLessThan(300)
    await through(stream, 10, 'audio after a reload')
    for (const fault of ['throw', 'skip', 'hang']) {
      const { unprocessed } = await audioOf(stream)
      expect((await patch({ fault })).status).toBe(200)
      await stage.waitForStatus(stream, fault, ({ audio }) => audio.unprocessed > unprocessed + 25)
      if (fault === 'hang') break
      expect((await patch({ fault: 'none' })).status).toBe(200)
      await through(stream, 10, `audio after ${fault}`)
    }
    const tone = await toneIn(recording)
    expect(tone.peak).toBeGreaterThan(0.45)
    expect(tone.roughest).toBeLessThan(0.1)
    expect(tone.largestJumpMs).toBeLessThan(1)
    const { inference, audio } = await stage.status(stream)
    expect(inference.lastError).toMatchObject({ message: expect.stringContaining('no gain today') })
    expect(audio.mode).toBe('process')
    expect(audio.lost).toBeGreaterThanOrEqual(lost)
    // A hang on audio is detected like one on a frame.
    await stage.waitForStatus(stream, 'a second restart', (now) => now.inference.restarts > 1)
    await end(stream)
  })

  it(`${language}: after a swap, audio takes the path of the new pipeline`, async () => {
    const stream = name('swapped')
    await publishTone(stream, '?pipeline=noop')
    expect((await audioOf(stream)).mode).toBe('around')
    await using recording = await recordOf(stream)
    expect((await put(stream, name('gain'))).status).toBe(200)
    await through(stream, 75)
    expect((await put(stream, 'noop')).status).toBe(200)
    expect((await audioOf(stream)).mode).toBe('around')
    const { length } = recording.bytes()
    await waitFor('what goes around', async () => recording.bytes().length > length + 80_000)
    recording.stop()
    const pieces = await decodeAudio(recording.bytes())
    const { seconds, largestJumpMs } = measureTone(pieces, 1000)
    // Levels per tenth of a second: unchanged, halved, and unchanged again.
    const levels = Array.from({ length: Math.floor(seconds * 10) }, (_, i) => {
      const { peak } = measureTone(pieces, 1000, i / 10, (i + 1) / 10)
      return peak > 0.45 ? 'L' : peak < 0.3 ? 'q' : '-'
    })
    expect(levels.join('')).toMatch(/LL.*qq.*LL/)
    // At most the length of one packet may be missing or repeated.
    expect(largestJumpMs).toBeLessThan(21)
    await end(stream)
  })

  it(`${language}: a pipeline that delays video delays its audio equally`, async () => {
    const stream = name('held')
    const clip = await stage.clip({
      ...{ seconds: 8, width: 320, height: 240, fps: 30, gop: 30 },
      ...{ audio: 'flash-beep', audioCodec: 'libopus' },
    })
    const query = `?pipeline=${name('holds-video-not-audio')}`
    await stage.publish(stream, clip, { query, loop: -1, outputArgs: ['-c', 'copy', ...AT_ONCE] })
    await stage.waitForStatus(stream, 'audio that is held', ({ audio }) => audio.heldMs > 350)
    await using recording = await recordOf(stream)
    // A busy moment may delay one of them.
    await waitFor('video and audio that leave together', async () => {
      const { videoBehindAudioMs } = await measureDepartures(`${stage.url}/out/${stream}.ts`, 90, 30)
      if (Math.abs(videoBehindAudioMs) < 40) return true
      throw new Error(`the video is ${videoBehindAudioMs} ms behind`)
    })
    recording.stop()
    const syncs = await measureSync(recording.bytes())
    expect(syncs.length).toBeGreaterThan(1)
    for (const { offsetMs } of syncs) expect(Math.abs(offsetMs)).toBeLessThan(40)
    await end(stream)
  })

  it(`${language}: an audio-only pipeline accepts a publisher without video`, async () => {
    const stream = name('alone')
    await publishTone(stream, `?pipeline=${name('gain')}`, { video: false })
    await using recording = await recordOf(stream)
    const { state, ingest } = await through(stream, 60)
    expect(state).toBe('ONLINE')
    expect(ingest).toMatchObject({ codec: null, audio: { codec: 'opus' } })
    const tone = await toneIn(recording)
    expect(tone.peak).toBeGreaterThan(0.235)
    expect(tone.roughest).toBeLessThan(0.1)
    await end(stream)
  })

  it(`${language}: one pipeline only listens and leaves audio unchanged, another one replaces it`, async () => {
    const stream = name('heard')
    await publishTone(stream, `?pipeline=${name('listens')}`)
    await using lines = await record(`${stage.url}/out/${stream}.jsonl`)
    await using recording = await recordOf(stream)
    type Line = { pts: number; data: { samples: number; channels: number; peak: number } }
    const read = () => {
      const all = lines.bytes().toString().split('\n').slice(0, -1)
      return all.map((line) => JSON.parse(line) as Line)
    }
    await waitFor('what it heard', async () => read().length > 120)
    lines.stop()
    const heard = read().slice(20)
    expect(heard.every(({ data }) => data.samples === 480 && data.channels === 1)).toBe(true)
    expect(heard.every(({ data }) => Math.abs(data.peak - 0.5) < 0.05)).toBe(true)
    expect(heard.every(({ pts }, i) => i === 0 || pts - heard[i - 1]!.pts === 900)).toBe(true)
    expect((await toneIn(recording)).peak).toBeGreaterThan(0.45)
    expect(await audioOf(stream)).toMatchObject({ mode: 'listen', frames: 0, unprocessed: 0 })

    expect((await put(stream, name('speaks'))).status).toBe(200)
    await through(stream, 60)
    await using own = await recordOf(stream)
    await through(stream, 120)
    const tone = await toneIn(own, 500)
    expect(tone.peak).toBeGreaterThan(0.23)
    expect(tone.peak).toBeLessThan(0.27)
    expect(tone.roughest).toBeLessThan(0.1)
    await end(stream)
  })
}

it('a publisher without video is refused by a pipeline that processes frames', async () => {
  const args = ['-v', 'error', ...TONE, '-t', '1', '-c:a', 'libopus', ...AT_ONCE, 'pipe:1']
  const [body] = await runTool(ffmpegPath(), args)
  const { status, json } = await httpJson('POST', `${stage.url}/ingest/refused?pipeline=noop`, { body })
  expect([status, json]).toEqual([
    415,
    expect.objectContaining({ detail: expect.stringContaining('noop needs a video track') }),
  ])
})

it('audio passes through the stages of a chain, and frames skip its audio-only stages', async () => {
  await publishTone('chained', '?pipeline=effects,gain,meter&params={"gain":{"gain":0.5}}')
  await using lines = await record(`${stage.url}/out/chained.jsonl`)
  await through('chained', 25)
  await using recording = await recordOf('chained')
  await through('chained', 100)
  const tone = await toneIn(recording)
  expect(tone.peak).toBeGreaterThan(0.235)
  expect(tone.peak).toBeLessThan(0.265)
  expect(tone.roughest).toBeLessThan(0.1)
  // The meter measures the output of the previous stage.
  expect(lines.bytes().toString().split('\n').at(-2)).toMatch(/"peakDb":-1[12]/)
  const { inference, audio } = await stage.waitForStatus('chained', 'frames', ({ inference }) => inference.fps > 20)
  expect([inference.restarts, audio.mode]).toEqual([0, 'process'])
  await end('chained')
})
