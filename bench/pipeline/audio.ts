import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { TsReader } from '../../src/codec/mpegts/reader.ts'
import { nowMs } from '../../src/core/clock.ts'
import type { AudioFrame } from '../../src/core/media/audio.ts'
import { SHARED_BYTES } from '../../src/pipeline/ring/audio-layout.ts'
import { AudioRing } from '../../src/pipeline/ring/audio-ring.ts'
import { openSharedMemory } from '../../src/pipeline/ring/shared-memory.ts'
import type { StreamStatus } from '../../src/stream/status.ts'
import { decodeAudio } from '../../test/helpers/media/probe-ts.ts'
import { startPublisher } from '../../test/helpers/media/publish.ts'
import { record } from '../../test/helpers/media/record.ts'
import { measureTone } from '../../test/helpers/media/tone.ts'
import { httpJson } from '../../test/helpers/server/http.ts'
import { startServer } from '../../test/helpers/server/server.ts'
import { waitFor } from '../../test/helpers/wait.ts'
import type { Benchmark } from '../lib/benchmark.ts'

const PIPELINES = fileURLToPath(new URL('../../test/fixtures/pipelines', import.meta.url))
const FRAMES = 5000
/** The encoder's lookahead, by which it shifts time stamps. */
const AHEAD_TICKS = 225

const Message = z.object({ type: z.literal('audio'), pts: z.int(), channels: z.int(), data: z.string() })

/** CPU of both ends together, in microseconds per stereo frame of 20 ms. */
function costOf(pass: (frame: AudioFrame) => AudioFrame): number {
  const frame: AudioFrame = { data: new Float32Array(1920).fill(0.1), sampleRate: 48_000, channels: 2, pts: 0 }
  for (let i = 0; i < 500; i++) pass(frame)
  const before = process.cpuUsage()
  for (let i = 0; i < FRAMES; i++) pass({ ...frame, pts: i })
  const { user, system } = process.cpuUsage(before)
  return (user + system) / FRAMES
}

function ringCost(): number {
  const memory = openSharedMemory(SHARED_BYTES)
  const ring = new AudioRing(memory.buffer, 'input')
  try {
    return costOf((frame) => {
      ring.write(frame, 0)
      return ring.take()!.frame
    })
  } finally {
    memory.unmap()
  }
}

/** As JSON lines on the control channel, with the samples in base64. */
function channelCost(): number {
  return costOf(({ data, channels, pts }) => {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')
    const line = Buffer.from(`${JSON.stringify({ type: 'audio', pts, channels, data: bytes })}\n`)
    const message = Message.parse(JSON.parse(line.toString()))
    const read = Buffer.from(message.data, 'base64')
    const samples = new Float32Array(read.buffer.slice(read.byteOffset, read.byteOffset + read.byteLength))
    return { data: samples, sampleRate: 48_000, channels: message.channels, pts: message.pts }
  })
}

/** Arrival of each audio packet of a stream, by time stamp. */
async function arrivals(url: string, until: () => boolean): Promise<Map<number, number>> {
  const reader = new TsReader()
  const times = new Map<number, number>()
  const stop = new AbortController()
  const { body } = await fetch(url, { signal: stop.signal })
  for await (const chunk of body!) {
    const now = nowMs()
    for (const { track, pts } of reader.push(chunk)) if (track.kind === 'audio') times.set(pts, now)
    if (until()) break
  }
  stop.abort()
  return times
}

export const audio: Benchmark = {
  name: 'audio',
  about: 'audio through a pipeline: what it adds, and whether a tone stays whole',
  async run({ seconds = 60 }, say) {
    const costs = { ring: ringCost(), channel: channelCost() }
    await using server = await startServer({
      env: { PIPELINE_DIR: PIPELINES, WARM_PIPELINES: '0', MAX_STREAMS: '4' },
    })
    const target = (stream: string, query: string) =>
      `[f=mpegts:pes_payload_size=0]${server.url}/ingest/${stream}${query}`
    // One publisher for both, so that their time stamps are the same.
    await using publisher = await startPublisher({
      input: 'testsrc2=s=320x240:r=30',
      inputArgs: ['-f', 'lavfi'],
      url: `${target('around', '?pipeline=noop')}|${target('through', '?pipeline=gain')}`,
      outputArgs: [
        ...['-f', 'lavfi', '-i', 'aevalsrc=0.5*sin(2*PI*1000*t):s=48000:c=stereo', '-map', '0', '-map', '1'],
        ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '30', '-b:v', '300k'],
        ...['-c:a', 'libopus', '-flush_packets', '1', '-f', 'tee'],
      ],
    })
    const audioOf = async () => {
      const { json } = await httpJson<StreamStatus>('GET', `${server.url}/streams/through`)
      return json.audio
    }
    await waitFor('audio through the pipeline', async () => ((await audioOf())?.frames ?? 0) > 100, { limitMs: 60_000 })
    const end = nowMs() + seconds * 1000
    say(`a tone for ${seconds} s`)
    const before = await audioOf()
    await using recording = await record(`${server.url}/out/through.ts`)
    const [around, through] = await Promise.all(
      ['around', 'through'].map((stream) => arrivals(`${server.url}/out/${stream}.ts`, () => nowMs() > end)),
    )
    recording.stop()
    const after = await audioOf()
    await publisher.stop()
    const tone = measureTone(await decodeAudio(recording.bytes()), 1000, 0.5)
    const added = [...through!].flatMap(([pts, at]) => {
      const other = around!.get(pts + AHEAD_TICKS)
      return other === undefined ? [] : [at - other]
    })
    added.sort((a, b) => a - b)
    const at = (share: number) => Math.round((added[Math.floor((added.length - 1) * share)] ?? Number.NaN) * 10) / 10
    const round = (value: number) => Math.round(value * 10) / 10
    return {
      tables: [
        {
          title: 'Opus → pipeline → Opus against Opus around it, ms later',
          columns: ['packets', 'p50', 'p95', 'p99'],
          rows: [[added.length, at(0.5), at(0.95), at(0.99)]],
        },
        {
          title: 'A tone of 1 kHz through a pipeline',
          columns: ['seconds', 'level (0.25)', 'roughest period', 'gap, ms', 'unprocessed', 'lost'],
          rows: [
            [
              round(tone.seconds),
              tone.peak.toFixed(3),
              tone.roughest.toFixed(3),
              tone.largestJumpMs.toFixed(2),
              after.unprocessed - before.unprocessed,
              after.lost - before.lost,
            ],
          ],
          note: 'The roughest period is the largest change from one period to the next, as a share of the level.',
        },
        {
          title: 'A frame of 20 ms from one process to another, CPU of both ends, µs',
          columns: ['audio ring', 'control channel'],
          rows: [[round(costs.ring), round(costs.channel)]],
        },
      ],
      plots: [],
      budgets: [
        { what: 'Opus → pipeline → Opus, beyond what goes around, p50', limit: 15, value: at(0.5), unit: 'ms' },
        { what: 'largest gap of the tone', limit: 1, value: tone.largestJumpMs, unit: 'ms' },
        { what: 'roughest period of the tone', limit: 0.1, value: tone.roughest, unit: '' },
      ],
      samples: { costs, added, tone, before, after },
    }
  },
}
