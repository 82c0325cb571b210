import { AppError } from '../../core/errors.ts'
import type { PixelFormat, VideoFrame } from '../../core/media/frame.ts'
import { giveBack } from '../../core/media/frame-pool.ts'
import type { Context } from '../../core/resource.ts'
import type { FfmpegProgram } from '../../ffmpeg/binary.ts'
import { FileSource } from '../../ffmpeg/file/source.ts'
import { secondsOf } from '../stepper.ts'
import { type CliStage, StepperChain } from '../stepper-chain.ts'
import { type AudioCost, measureAudio } from './audio.ts'
import { difference, summary } from './statistics.ts'
import { usageOf } from './usage.ts'

export type Size = { width: number; height: number }

export type MeasureOptions = {
  stages: readonly CliStage[]
  ffmpeg: FfmpegProgram
  modelDir: string
  size: Size
  /** Frames per second of the simulated stream. */
  fps: number
  /** Largest size to try, in pixels: the server scales larger sources down. */
  maxPixels: number
  frameMs: number
  onLog(line: { level: string; message: string }): void
}

/** Cost of one frame of a size. */
export type Cost = Size & {
  frames: number
  /** Milliseconds from the frame to its output, as in a live stream. */
  frameMs: { p50: number; p95: number; max: number }
  /** Frames per second, one after the other. */
  fps: number
  /** Whether 95 of 100 frames are done before the next one comes. */
  keepsUp: boolean
}

/** Cost of a pipeline; fields about frames are absent for one that processes audio only. */
export type Measured = Partial<OfFrames> & {
  pipeline: string
  loadMs: number
  memoryBytes?: number
  gpuMemoryBytes?: number
  /** Present if it takes audio. */
  audio?: AudioCost
}

export type OfFrames = Cost & {
  format: PixelFormat
  /** The frame rate of the measurement. */
  atFps: number
  /** CPU time per frame, and CPUs that a stream at that rate uses. */
  cpuMs?: number
  cpus?: number
  /** The largest size that keeps up; null if none of those tried does, absent if the pipeline takes one size only. */
  largest?: Size | null
  /** All measured sizes, smallest first. */
  sizes: Cost[]
}

/** Common stream sizes; those within the limit are tried. */
const LADDER: Size[] = [
  { width: 320, height: 180 },
  { width: 426, height: 240 },
  { width: 640, height: 360 },
  { width: 854, height: 480 },
  { width: 1280, height: 720 },
  { width: 1920, height: 1080 },
  { width: 2560, height: 1440 },
  { width: 3840, height: 2160 },
]
/** Number of test pattern frames, which are given repeatedly. */
const KEPT = 12
const KEPT_BYTES = 256 * 2 ** 20
/** Warm-up before the measurement, in which code is compiled and caches are filled. */
const WARM_UP = { frames: 10, ms: 3000 }
const WHOLE = { frames: 200, least: 20, ms: 6000 }
const GLANCE = { frames: 40, least: 10, ms: 2000 }

/**
 * Measures a pipeline in its own runner, frame by frame. Throws `pipeline-failed` for a frame on which it fails.
 * Decoding and encoding, which a live stream adds in processes of their own, are not included.
 */
export async function measure(options: MeasureOptions, context: Context): Promise<Measured> {
  const { stages, modelDir, frameMs, onLog } = options
  await using stepper = await StepperChain.open({ stages, modelDir, frameMs, onLog }, context)
  const frames = stepper.takesVideo ? await measureFrames(options, stepper, context) : undefined
  const audio = await measureAudio(stepper, context)
  if (!frames && !audio)
    throw new AppError('invalid-request', 'the pipeline only outputs audio of its own; there is nothing to measure')
  const { memoryBytes, gpuMemoryBytes } = await usageOf(stepper.pids)
  return {
    pipeline: stages.map(({ entry }) => entry.name).join(),
    ...frames,
    loadMs: stepper.loadMs,
    ...(memoryBytes !== undefined && { memoryBytes }),
    ...(gpuMemoryBytes !== undefined && { gpuMemoryBytes }),
    ...(audio && { audio }),
  }
}

async function measureFrames(options: MeasureOptions, stepper: StepperChain, context: Context): Promise<OfFrames> {
  const { fps } = options
  const { format = 'yuv420p', width, height } = stepper.input
  const fixed = width !== undefined && height !== undefined ? { width, height } : undefined
  const bench = new Bench(options, stepper, format, context)
  const size = fixed ?? options.size
  const before = await usageOf(stepper.pids)
  const cost = await bench.cost(size, WHOLE)
  const cpuMs = difference(before, await usageOf(stepper.pids), bench.frames)
  const sizes = [cost]
  if (!fixed) {
    for (const other of cost.keepsUp ? larger(size, options.maxPixels) : smaller(size)) {
      const next = await bench.cost(other, GLANCE)
      sizes.push(next)
      if (next.keepsUp !== cost.keepsUp) break
    }
  }
  sizes.sort((a, b) => pixels(a) - pixels(b))
  const largest = sizes.findLast(({ keepsUp }) => keepsUp)
  return {
    format,
    ...cost,
    atFps: fps,
    ...(cpuMs !== undefined && { cpuMs, cpus: (cpuMs * fps) / 1000 }),
    ...(!fixed && { largest: largest ? { width: largest.width, height: largest.height } : null }),
    sizes,
  }
}

class Bench {
  /** Frames given to the pipeline so far. */
  frames = 0
  readonly #options: MeasureOptions
  readonly #stepper: StepperChain
  readonly #format: PixelFormat
  readonly #context: Context

  constructor(options: MeasureOptions, stepper: StepperChain, format: PixelFormat, context: Context) {
    this.#options = options
    this.#stepper = stepper
    this.#format = format
    this.#context = context
  }

  async cost(size: Size, limit: typeof WHOLE): Promise<Cost> {
    const pattern = await this.#pattern(size)
    await this.#times(pattern, { ...WARM_UP, least: 1 })
    const began = performance.now()
    const times = await this.#times(pattern, limit)
    const fps = (times.length * 1000) / (performance.now() - began)
    await this.#stepper.settled()
    this.#clear()
    return { ...size, frames: times.length, ...summary(times, this.#options.fps), fps }
  }

  async #times(pattern: readonly VideoFrame[], { frames, least, ms }: typeof WHOLE): Promise<number[]> {
    const until = performance.now() + ms
    const times: number[] = []
    while (times.length < frames && (times.length < least || performance.now() < until)) {
      if (this.#context.signal?.aborted) throw new AppError('pipeline-failed', 'it was interrupted')
      const pts = Math.round((this.frames * 90_000) / this.#options.fps)
      const frame = { ...pattern[this.frames % pattern.length]!, pts }
      const { ms, broken } = await this.#stepper.put(frame, ++this.frames, secondsOf(pts))
      this.#clear()
      if (broken) throw new AppError('pipeline-failed', `frame ${broken.frame}: ${broken.message}`)
      times.push(ms)
    }
    return times
  }

  #clear(): void {
    for (const { data } of this.#stepper.take()) giveBack(data)
  }

  /** Test pattern frames in the pipeline's input format. */
  async #pattern(size: Size): Promise<VideoFrame[]> {
    const { ffmpeg, fps } = this.#options
    const input = `testsrc2=size=${size.width}x${size.height}:rate=${fps}`
    await using file = await FileSource.open({ ffmpeg, input, format: this.#format, size, strict: true }, this.#context)
    const frames: VideoFrame[] = []
    for await (const frame of file.frames()) {
      frames.push({ ...frame, data: frame.data.slice() })
      if (frames.length >= KEPT || frames.length * frame.data.length > KEPT_BYTES) break
    }
    return frames
  }
}

function larger(size: Size, maxPixels: number): Size[] {
  return LADDER.filter((other) => pixels(other) > pixels(size) && pixels(other) <= maxPixels)
}

function smaller(size: Size): Size[] {
  return LADDER.filter((other) => pixels(other) < pixels(size)).reverse()
}

function pixels({ width, height }: Size): number {
  return width * height
}
