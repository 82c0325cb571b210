import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { nowMs } from '../../../src/core/clock.ts'
import { frameBytes, type VideoFrame } from '../../../src/core/media/frame.ts'
import type { Ffmpeg, VideoEncoderName } from '../../../src/ffmpeg/binary.ts'
import { openVideoEncoder } from '../../../src/ffmpeg/encoder/encoder.ts'
import { tryVideoEncoder } from '../../../src/ffmpeg/encoder/trial.ts'
import { makeNumberedClip } from '../../../test/helpers/media/clip.ts'
import { runTool } from '../../../test/helpers/run-tool.ts'
import { inRealTime } from '../media/feed.ts'
import type { Size } from '../media/sizes.ts'
import { FPS, FRAME_TICKS } from '../media/units.ts'
import { cpuMs } from '../processes.ts'
import { SILENT } from '../silent.ts'
import { median } from '../statistics.ts'

export type CoderRun = { name: string; absence?: string; cpuMsPerFrame?: number; p50?: number }

const CLIP_SECONDS = 4
const DECODES = 3
const RUN_MS = 120_000

export type Clip = AsyncDisposable & { file: string; frames: VideoFrame[] }

/** A clip, and its first second as raw frames. */
export async function openClip(size: Size, { path }: Ffmpeg): Promise<Clip> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-bench-'))
  const file = join(folder, 'clip.ts')
  const { width, height, kbps } = size
  await makeNumberedClip({ file, seconds: CLIP_SECONDS, width, height, fps: FPS, gop: FPS, kbps })
  const args = ['-v', 'error', '-i', file, '-frames:v', String(FPS), '-f', 'rawvideo', '-pix_fmt', 'yuv420p', 'pipe:1']
  const [raw = Buffer.alloc(0)] = await runTool(path, args)
  const bytes = frameBytes('yuv420p', width, height)
  const frames = Array.from({ length: Math.floor(raw.length / bytes) }, (_, i) => {
    const data = new Uint8Array(raw.subarray(i * bytes, (i + 1) * bytes))
    return { data, format: 'yuv420p', width, height, pts: i * FRAME_TICKS } as const
  })
  return { file, frames, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
}

/** The server's encoder settings at 30 frames per second, with the given ffmpeg encoder. */
export async function encode(
  ffmpeg: Ffmpeg,
  name: VideoEncoderName,
  size: Size,
  frames: VideoFrame[],
  seconds: number,
) {
  if (!ffmpeg.encoders.has(name)) return { name, absence: 'it is not compiled into this ffmpeg' }
  const absence = await tryVideoEncoder({ ...ffmpeg, videoEncoder: name }, SILENT)
  if (absence !== undefined) return { name, absence }
  const sent = new Map<number, number>()
  const times: number[] = []
  const onPacket = ({ pts }: { pts: number }) => times.push(nowMs() - (sent.get(pts) ?? Number.NaN))
  const { width, height, kbps } = size
  const shape = { format: 'yuv420p', width, height, bitrateKbps: kbps, fps: FPS } as const
  const options = { ffmpeg: { ...ffmpeg, videoEncoder: name }, ...shape, trackId: 'video', onPacket }
  await using encoder = await openVideoEncoder(options, { log: SILENT })
  const send = (number: number) => {
    const pts = number * FRAME_TICKS
    sent.set(pts, nowMs())
    encoder.encode({ ...frames[number % frames.length]!, pts })
  }
  const warm = 2 * FPS
  await inRealTime(send, { count: warm })
  await encoder.drained()
  const [cpu, count] = [cpuMs(encoder.pid), seconds * FPS]
  times.length = 0
  await inRealTime(send, { first: warm, count })
  await encoder.drained()
  return { name, cpuMsPerFrame: (cpuMs(encoder.pid) - cpu) / count, p50: median(times) }
}

/**
 * CPU cost of decoding to frames in main memory: on the CPU, as the server does, and with NVDEC and a copy back. There
 * the frames stay on the GPU until they are fetched, so that ffmpeg cannot silently decode without it.
 */
export async function decode({ path }: Ffmpeg, file: string): Promise<CoderRun[]> {
  const ways = [
    { name: 'the processor', before: ['-threads', '1'], filters: 'format=yuv420p' },
    {
      name: 'NVDEC',
      before: ['-hwaccel', 'cuda', '-hwaccel_output_format', 'cuda'],
      filters: 'hwdownload,format=nv12,format=yuv420p',
    },
  ]
  const runs: CoderRun[] = []
  for (const { name, before, filters } of ways) {
    const args = [
      '-nostdin',
      '-v',
      'info',
      '-benchmark',
      ...before,
      '-i',
      file,
      '-an',
      '-vf',
      filters,
      '-f',
      'null',
      '-',
    ]
    try {
      const spent: number[] = []
      for (let i = 0; i < DECODES; i++) {
        const { stderr } = await promisify(execFile)(path, args, { timeout: RUN_MS })
        const [, user, system] = /bench: utime=([\d.]+)s stime=([\d.]+)s/.exec(stderr) ?? []
        if (user === undefined || system === undefined) throw new Error('ffmpeg does not tell what it used')
        spent.push((Number(user) + Number(system)) * 1000)
      }
      runs.push({ name, cpuMsPerFrame: median(spent) / (CLIP_SECONDS * FPS) })
    } catch (thrown) {
      runs.push({ name, absence: reasonOf(thrown) })
    }
  }
  return runs
}

/** ffmpeg's first error line. */
function reasonOf(thrown: unknown): string {
  const { stderr = '', message } = thrown as Error & { stderr?: string }
  const line = stderr.split('\n').find((one) => /cannot|could not|failed|error|no device/i.test(one))
  return (line ?? message).replace(/^\[[^\]]*\] /, '').slice(0, 200)
}
