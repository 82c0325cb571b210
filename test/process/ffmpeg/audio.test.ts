import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { opusHead } from '../../../src/codec/audio/opus-ts.ts'
import type { NutAudioStream } from '../../../src/codec/nut/format.ts'
import { NutWriter } from '../../../src/codec/nut/writer.ts'
import { nowMs, TICKS_PER_SECOND } from '../../../src/core/clock.ts'
import { LatencyMeter } from '../../../src/core/counters.ts'
import type { AudioCodec, AudioTrack, EncodedPacket } from '../../../src/core/media/packet.ts'
import { openAudioTranscoder } from '../../../src/ffmpeg/audio/transcoder.ts'
import type { Ffmpeg } from '../../../src/ffmpeg/binary.ts'
import { nothingLeft } from '../../helpers/nothing-left.ts'
import { waitFor } from '../../helpers/wait.ts'
import { quiet, range, readNut, runFfmpeg, testFfmpeg } from './clips.ts'

let ffmpeg: Ffmpeg
let clean: ReturnType<typeof nothingLeft>

beforeAll(async () => {
  ffmpeg = await testFfmpeg()
})
beforeEach(() => {
  clean = nothingLeft()
})
afterEach(() => clean())

const CODERS: Record<string, [AudioCodec, string[]]> = {
  'AAC at 48 kHz': ['aac', ['-c:a', 'aac']],
  'AAC at 44.1 kHz, mono': ['aac', ['-c:a', 'aac', '-ar', '44100', '-ac', '1']],
  MP3: ['mp3', ['-c:a', 'libmp3lame']],
  'AAC in LATM': ['aac_latm', ['-c:a', 'aac', '-mpegts_flags', 'latm']],
  'AC-3': ['ac3', ['-c:a', 'ac3']],
  'E-AC-3 with six channels': ['eac3', ['-c:a', 'eac3', '-ac', '6']],
  'Opus with six channels': ['opus', ['-c:a', 'libopus', '-ac', '6']],
  Opus: ['opus', ['-c:a', 'libopus']],
}
const NAMES = Object.keys(CODERS)

/** Packets of four seconds of audio with a click of 5 ms at each of `CLICKS`; AAC in ADTS frames. */
const CLICKS = [1, 2.5]
function clip(name: string, base: number): EncodedPacket<AudioTrack>[] {
  const [codec, coder] = CODERS[name]!
  const gate = CLICKS.map((at) => `between(t\\,${at}\\,${at + 0.005})`).join('+')
  const source = `aevalsrc=exprs=0.8*sin(2*PI*3000*t)*(${gate}):s=48000:d=4`
  // Through MPEG-TS, which turns AAC into ADTS and starts at 0.
  const ts = ['-muxdelay', '0', '-muxpreload', '0', '-f', 'mpegts', 'pipe:1']
  const muxed = runFfmpeg(ffmpeg.path, ['-f', 'lavfi', '-i', source, ...coder, ...ts])
  const copy = ['-copyts', '-f', 'mpegts', '-i', 'pipe:0', '-c', 'copy', '-f', 'nut', 'pipe:1']
  const { stream, frames } = readNut(runFfmpeg(ffmpeg.path, copy, muxed))
  const { sampleRate, channels, timeBase } = stream as NutAudioStream
  const track: AudioTrack = { id: 'in', kind: 'audio', codec, sampleRate, channels }
  const ticks = (pts: number) => Math.round((pts * TICKS_PER_SECOND * timeBase.num) / timeBase.den)
  return frames.map(({ pts, data }) => ({ track, data, pts: base + ticks(pts), key: true }))
}

/** Start times of the clicks in seconds on the clock of the packets, decoded without knowledge of pre-skip. */
function clicksIn(packets: EncodedPacket[], base: number): number[] {
  const { codec, sampleRate, channels } = packets[0]!.track as AudioTrack
  const extradata = codec === 'opus' ? opusHead(channels) : undefined
  const spec = { kind: 'audio', codec, sampleRate, channels, ...(extradata && { extradata }) } as const
  const writer = new NutWriter(spec, { num: 1, den: TICKS_PER_SECOND })
  const parts = packets.flatMap(({ pts, data }) => {
    return [writer.frame(pts - base + TICKS_PER_SECOND, true, data.length), data]
  })
  const args = ['-copyts', '-f', 'nut', '-i', 'pipe:0', '-c:a', 'pcm_s16le', '-ac', '1', '-f', 'nut', 'pipe:1']
  const { stream, frames } = readNut(runFfmpeg(ffmpeg.path, args, Buffer.concat([writer.header(), ...parts])))
  const clicks: number[] = []
  for (const { pts, data } of frames) {
    const start = (pts * stream.timeBase.num) / stream.timeBase.den - 1
    const samples = new Int16Array(data.buffer, data.byteOffset, data.length / 2)
    for (const [i, sample] of samples.entries()) {
      const at = start + i / (stream as NutAudioStream).sampleRate
      if (Math.abs(sample) > 5000 && at > (clicks.at(-1) ?? -1) + 0.1) clicks.push(at)
    }
  }
  return clicks
}

async function open(track: AudioTrack) {
  const packets: EncodedPacket[] = []
  const transcoder = await openAudioTranscoder(
    { ffmpeg, track, trackId: 'out', onPacket: (packet) => packets.push(packet) },
    { log: quiet },
  )
  return { transcoder, packets }
}

async function transcode(input: EncodedPacket<AudioTrack>[]) {
  const { transcoder, packets } = await open(input[0]!.track)
  for (const packet of input) transcoder.write(packet)
  transcoder.end()
  return { packets, closed: await transcoder.closed }
}

describe.each(NAMES)('%s', (name) => {
  it('becomes Opus in 20 ms packets, in sync', async () => {
    const base = 2 ** 33 - 30_000
    const input = clip(name, base)
    const { packets, closed } = await transcode(input)
    expect(closed).toEqual({ why: 'ended' })
    const track = { id: 'out', kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 }
    expect(packets.every((packet) => packet.key)).toBe(true)
    expect(packets[0]?.track).toEqual(track)
    expect(new Set(packets.slice(1).map(({ pts }, i) => pts - packets[i]!.pts))).toEqual(new Set([1800]))
    const before = clicksIn(input, base)
    const after = clicksIn(packets, base)
    expect(before).toHaveLength(CLICKS.length)
    expect(after).toHaveLength(CLICKS.length)
    for (const [i, click] of before.entries()) expect(Math.abs(after[i]! - click)).toBeLessThan(0.002)
  })

  it('is delayed by no more than the length of its packets', async () => {
    const input = clip(name, 0)
    const { transcoder, packets } = await open(input[0]!.track)
    const delays = new LatencyMeter()
    for (const [i, packet] of input.slice(0, 60).entries()) {
      const written = nowMs()
      transcoder.write(packet)
      // All complete packets the audio so far can fill; a resampler holds less than a millisecond.
      const due = Math.floor((input[i + 1]!.pts - input[0]!.pts - 90) / 1800)
      if (packets.length >= due) continue
      await waitFor(`packet ${due}`, () => packets.length >= due, { everyMs: 0.2 })
      if (i > 3) delays.add(nowMs() - written)
    }
    await transcoder.close()
    expect(delays.percentiles().p50).toBeLessThan(30)
  })
})

describe('errors', () => {
  it('a jump of the clock is followed', async () => {
    const input = clip('AAC at 48 kHz', 0)
    const moved = input.map((packet, i) => (i < 90 ? packet : { ...packet, pts: packet.pts + 3600 * TICKS_PER_SECOND }))
    const { packets } = await transcode(moved)
    const steps = packets.slice(1).map(({ pts }, i) => pts - packets[i]!.pts)
    expect(steps.filter((step) => step === 1800).length).toBeGreaterThan(steps.length - 4)
    const jump = packets.at(-1)!.pts - packets[0]!.pts - (packets.length - 1) * 1800
    expect(Math.abs(jump - 3600 * TICKS_PER_SECOND)).toBeLessThan(1800)
  })

  it('missing packets leave a gap, and what follows stays in sync', async () => {
    const input = clip('AAC at 48 kHz', 0)
    const holed = input.filter((_, i) => i < 60 || i >= 80)
    const { packets } = await transcode(holed)
    const [, second] = clicksIn(input, 0)
    const after = clicksIn(packets, 0)
    expect(after.length).toBeGreaterThan(0)
    expect(Math.abs(after.at(-1)! - second!)).toBeLessThan(0.005)
  })

  it('damaged packets lose audio only', async () => {
    const input = clip('AAC at 48 kHz', 0)
    const damaged = input.map((packet, i) => {
      if (i % 10 !== 5 || i > 150) return packet
      return { ...packet, data: i % 20 === 5 ? new Uint8Array(40).fill(0xa5) : packet.data.subarray(0, 30) }
    })
    const { packets, closed } = await transcode(damaged)
    expect(closed).toEqual({ why: 'ended' })
    expect(packets.length).toBeGreaterThan(150)
    expect(Math.abs(packets.at(-1)!.pts - input.at(-1)!.pts)).toBeLessThan(TICKS_PER_SECOND / 10)
  })

  it('input beyond the queue limit is refused', async () => {
    const input = clip('MP3', 0)
    const { transcoder } = await open(input[0]!.track)
    const large = { ...input[0]!, data: new Uint8Array(1_000_000) }
    expect(range(3).map(() => transcoder.write(large))).toContain(false)
    await transcoder.close()
  })
})
