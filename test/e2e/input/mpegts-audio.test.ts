import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { StreamEvent } from '../../../src/stream/events.ts'
import type { StreamStatus } from '../../../src/stream/status.ts'
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

const PART_SECONDS = 2
/** Time from the change to the next beep. */
const LEAD_SECONDS = 0.2

/** Encoder options of each part. */
const FORMATS: Record<string, string[]> = {
  aac: ['-c:a', 'aac'],
  mp3: ['-c:a', 'libmp3lame'],
  'AAC at 44.1 kHz in one channel': ['-c:a', 'aac', '-ar', '44100', '-ac', '1'],
  'AAC with six channels': ['-c:a', 'aac', '-ac', '6'],
  ac3: ['-c:a', 'ac3'],
  eac3: ['-c:a', 'eac3'],
  aac_latm: ['-c:a', 'aac', '-mpegts_flags', 'latm'],
  opus: ['-c:a', 'libopus'],
  'Opus with six channels': ['-c:a', 'libopus', '-ac', '6'],
  mp2: ['-c:a', 'mp2'],
  'MPEG-2 video': ['-c:v', 'mpeg2video', '-c:a', 'aac'],
  'no audio': ['-an'],
  s302m: ['-c:a', 's302m', '-strict', '-2', '-sample_fmt', 's16'],
}

/** A clip whose audio changes every two seconds, on one clock. */
async function changing(name: string, formats: string[]): Promise<Buffer> {
  const seconds = formats.length * PART_SECONDS
  const clip = await stage.clip({ seconds, width: 320, height: 240, fps: 30, gop: 30, audio: 'flash-beep' })
  const parts: Buffer[] = []
  for (const [i, format] of formats.entries()) {
    const file = join(stage.folder, `${name}-${i}.ts`)
    // Encoder padding at the end of a part reaches into the next one, so its beep starts 0.2 s later.
    const [from, end] = [i, i + 1].map((part) => Math.max(0, part * PART_SECONDS - LEAD_SECONDS)) as [number, number]
    // Between frames, so that both tracks of a part start with the same frame.
    await runTool(ffmpegPath(), [
      ...['-v', 'error', '-y', '-i', clip, '-ss', String(Math.max(0, from - 0.001)), '-t', String(end - from)],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '30', ...(FORMATS[format] ?? [])],
      ...['-muxdelay', '0', '-muxpreload', '0', '-output_ts_offset', String(1 + from), '-f', 'mpegts', file],
    ])
    parts.push(await readFile(file))
  }
  return Buffer.concat(parts)
}

/** Events of a stream until it ends. */
async function follow(stream: string): Promise<() => StreamEvent[]> {
  const told = await record(`${stage.url}/streams/${stream}/events?lastEventId=0`)
  return () =>
    told
      .bytes()
      .toString()
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => JSON.parse(line.slice(5)) as StreamEvent)
}

async function play(name: string, body: Uint8Array) {
  const posted = http('POST', `${stage.url}/ingest/${name}`, { body, limitMs: 60_000 })
  await stage.waitForStatus(name, 'frames', ({ egress }) => egress.fps > 0)
  const events = await follow(name)
  await using viewer = await record(`${stage.url}/out/${name}.ts`)
  const seen = new Set<string>()
  let newest: NonNullable<StreamStatus['ingest']>['audio'] | undefined
  let answered = false
  void posted.finally(() => {
    answered = true
  })
  for (let last: StreamStatus | undefined; !answered; ) {
    last = await stage.status(name).catch(() => last)
    const audio = last?.ingest?.audio
    if (audio !== undefined) newest = audio
    if (audio) seen.add(`${audio.codec} ${audio.sampleRate} ${audio.channels}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  expect((await posted).status).toBe(200)
  viewer.stop()
  return { bytes: viewer.bytes(), seen, events: events(), audio: newest }
}

it('audio that changes codec, rate or channels continues in sync', async () => {
  const formats = Object.keys(FORMATS).filter((name) => !['s302m', 'MPEG-2 video', 'no audio'].includes(name))
  const { bytes, seen, events } = await play('changing', await changing('changing', ['aac', ...formats]))
  for (const audio of [
    'aac 44100 1',
    'aac 48000 6',
    'ac3 48000',
    'eac3 48000',
    'aac_latm 48000',
    'opus 48000 2',
    'opus 48000 6',
  ]) {
    expect([...seen].some((one) => one.startsWith(audio))).toBe(true)
  }
  expect(events.filter(({ type }) => type === 'error')).toEqual([])
  const sync = await measureSync(bytes)
  // One beep per second, also in the second a format starts in.
  const steps = sync.slice(1).map(({ flashPts }, i) => (flashPts - sync[i]!.flashPts) / 90_000)
  expect(steps.length).toBeGreaterThan(formats.length * PART_SECONDS - 8)
  expect(Math.max(...steps)).toBeLessThan(1.2)
  for (const { offsetMs } of sync) expect(Math.abs(offsetMs)).toBeLessThan(100)
})

it('undecodable audio leaves the video alone and is reported, and later audio is heard', async () => {
  const { bytes, events } = await play('unread', await changing('unread', ['aac', 's302m', 'aac']))
  const errors = events.filter((event) => event.type === 'error')
  expect(errors).toMatchObject([{ source: 'audio', message: expect.stringContaining('SMPTE 302M') }])
  const numbers = (await decodeNumbers(bytes)).map(({ number }) => number ?? 0)
  expect(Math.max(...numbers)).toBeGreaterThan(3 * PART_SECONDS * 30 - 10)
  const last = (await measureSync(bytes)).at(-1)
  expect(last?.flashPts).toBeGreaterThan(0)
  expect(Math.abs(last?.offsetMs ?? 1000)).toBeLessThan(100)
})

it('undecodable video ends nothing and is reported, and later video is shown, with or without audio', async () => {
  const { bytes, events, audio } = await play('gap', await changing('gap', ['aac', 'MPEG-2 video', 'no audio']))
  const errors = events.filter((event) => event.type === 'error')
  expect(errors).toMatchObject([{ source: 'ingest', message: expect.stringContaining('MPEG-2 video') }])
  const numbers = (await decodeNumbers(bytes)).map(({ number }) => number ?? 0)
  expect(Math.max(...numbers)).toBeGreaterThan(3 * PART_SECONDS * 30 - 10)
  // Its last value: media that has ended is not reported as present.
  expect(audio).toBeNull()
})
