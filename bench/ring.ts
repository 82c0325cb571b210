import { closeSync } from 'node:fs'
import type { Duplex, Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { Child } from '../src/core/child.ts'
import { frameBytes, type VideoFrame } from '../src/core/media/frame.ts'
import { giveBack } from '../src/core/media/frame-pool.ts'
import { Doorbell } from '../src/pipeline/ring/doorbell.ts'
import { REGION_BYTES } from '../src/pipeline/ring/frame-layout.ts'
import { FrameRing, formatRegion } from '../src/pipeline/ring/frame-ring.ts'
import { createSharedFile, mapSharedFile } from '../src/pipeline/ring/shared-memory.ts'
import type { Benchmark } from './lib/benchmark.ts'
import { readFrames } from './lib/media/read-frames.ts'
import { median, ratios, spread } from './lib/statistics.ts'

const PEER = fileURLToPath(new URL('./lib/ring-peer.ts', import.meta.url))
/** Frames in flight at once. */
const WINDOW = 2
const SIZES = [
  { name: '512x512 rgb24', format: 'rgb24', width: 512, height: 512 },
  { name: '1280x720 yuv420p', format: 'yuv420p', width: 1280, height: 720 },
  { name: '1920x1080 rgb24', format: 'rgb24', width: 1920, height: 1080 },
] as const

type Way = { send(frame: VideoFrame): void; end(): void }

async function openRing(onBack: () => void): Promise<{ peer: Child; way: Way }> {
  const fd = createSharedFile(REGION_BYTES)
  const memory = mapSharedFile(fd, REGION_BYTES)
  formatRegion(memory.buffer)
  const input = new FrameRing(memory.buffer, 'input')
  const output = new FrameRing(memory.buffer, 'output')
  const peer = await Child.spawn({
    command: process.execPath,
    args: [PEER, 'ring', '0'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc', fd, 'pipe'],
  })
  closeSync(fd)
  const socket = (peer.process.stdio as readonly unknown[])[5] as Duplex
  const bell = new Doorbell(socket, () => {
    for (let got = output.takeOldest(); got; got = output.takeOldest()) {
      giveBack(got.frame.data)
      onBack()
    }
  })
  const send = (frame: VideoFrame) => {
    input.write(frame, 1)
    bell.ring()
  }
  return { peer, way: { send, end: () => memory.unmap() } }
}

async function openPipe(bytes: number, onBack: () => void): Promise<{ peer: Child; way: Way }> {
  const peer = await Child.spawn({
    command: process.execPath,
    args: [PEER, 'pipe', String(bytes)],
    stdio: ['pipe', 'pipe', 'inherit', 'ipc'],
  })
  readFrames(peer.process.stdout as Readable, bytes, onBack)
  const stdin = peer.process.stdin as Writable
  return { peer, way: { send: (frame) => void stdin.write(frame.data), end: () => {} } }
}

type Pace = { fps: number; cpuMs: number }

/** Frames per second at full speed, and milliseconds of CPU time per frame, of both processes together. */
async function measure(kind: 'ring' | 'pipe', size: (typeof SIZES)[number], count: number): Promise<Pace> {
  const bytes = frameBytes(size.format, size.width, size.height)
  const frame = (pts: number): VideoFrame => ({ ...size, data: new Uint8Array(bytes).fill(pts), pts })
  const frames = [frame(1), frame(2)]
  let back = 0
  let wake = () => {}
  const onBack = () => {
    back++
    wake()
  }
  const { peer, way } = kind === 'ring' ? await openRing(onBack) : await openPipe(bytes, onBack)
  const answer = <T>() => new Promise<T>((resolve) => peer.process.once('message', (message) => resolve(message as T)))
  await answer()
  const run = async (count: number) => {
    const from = back
    for (let sent = 0; back - from < count; ) {
      while (sent < count && sent - (back - from) < WINDOW) way.send(frames[sent++ % 2]!)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  const peerCpu = async () => {
    const told = answer<NodeJS.CpuUsage>()
    peer.process.send('cpu')
    const { user, system } = await told
    return user + system
  }
  await run(30)
  const before = await peerCpu()
  const own = process.cpuUsage()
  const startedAt = performance.now()
  await run(count)
  const wallMs = performance.now() - startedAt
  const { user, system } = process.cpuUsage(own)
  const cpuMs = (user + system + (await peerCpu()) - before) / 1000 / count
  await peer.close()
  way.end()
  return { fps: (count * 1000) / wallMs, cpuMs }
}

export const ring: Benchmark = {
  name: 'ring',
  about: 'Frames to another process and back, by shared memory and by pipes',
  async run({ seconds = 4, repeat = 3 }, say) {
    // Takes about as long on any current machine.
    const count = Math.ceil(seconds * 150)
    const samples = SIZES.map((size) => ({ size: size.name, ring: [] as Pace[], pipe: [] as Pace[] }))
    for (let round = 0; round < repeat; round++) {
      for (const [i, size] of SIZES.entries()) {
        for (const kind of ['ring', 'pipe'] as const) samples[i]![kind].push(await measure(kind, size, count))
        say(
          `${size.name}: ring ${samples[i]!.ring.at(-1)!.cpuMs.toFixed(2)} ms, pipe ${samples[i]!.pipe.at(-1)!.cpuMs.toFixed(2)} ms`,
        )
      }
    }
    const cpu = (paces: Pace[]) => paces.map(({ cpuMs }) => cpuMs)
    const fps = (paces: Pace[]) => paces.map(({ fps }) => fps)
    return {
      budgets: [],
      tables: [
        {
          title: 'One frame there and back, two on their way at once',
          columns: ['frames', 'ring, ms', 'pipe, ms', 'ring × pipe', 'ring, a second', 'pipe, a second'],
          rows: samples.map(({ size, ring, pipe }) => [
            size,
            spread(cpu(ring)),
            spread(cpu(pipe)),
            median(ratios(cpu(ring), cpu(pipe))),
            spread(fps(ring), 0),
            spread(fps(pipe), 0),
          ]),
          note: 'Processor time of both processes together; the server copies a frame in and reads it in place, the other process copies it out and in, as a runner does.',
        },
      ],
      plots: [],
      samples,
    }
  },
}
