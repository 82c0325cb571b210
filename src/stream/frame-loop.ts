import { nowMs, TICKS_PER_SECOND } from '../core/clock.ts'
import type { VideoFrame } from '../core/media/frame.ts'
import { type FrameMemory, giveBack } from '../core/media/frame-pool.ts'
import type { PipelineLease } from '../pipeline/supervision/pool.ts'
import type { LatencyTracker } from './latency.ts'
import { Overlay } from './overlay/overlay.ts'
import type { Timeline } from './timeline.ts'

export type FrameLoopOptions = {
  timeline: Timeline
  latency: LatencyTracker
  /** Where every frame of the stream goes, in order of time; `made` by the loop for want of another. */
  write(frame: VideoFrame, made: boolean): void
  /** Where the memory of decoded frames goes back to. */
  inputMemory: FrameMemory
  /** Shape of the frame while there was none yet. */
  idleSize: { width: number; height: number }
  /** Whether someone would see a frame that is drawn before the first publisher came. */
  watched(): boolean
}

type Shape = Omit<VideoFrame, 'data' | 'pts'>

/** With no frame coming in for this long, the loop makes its own, where something must be drawn. */
const IDLE_MS = 400
/** A frame of a slow source is sent again this often, for viewers who come meanwhile. */
const REPEAT_MS = 1000
/** So far behind the stream's time stay frames that are made while there is a publisher: its next one must not be too late. */
const BEHIND_TICKS = TICKS_PER_SECOND
/** Pace of the frames it makes. */
const IDLE_FPS = 15

/**
 * Each decoded frame goes to the pipeline when that is ready, and to the overlay when not;
 * without a publisher the loop makes frames by its own clock. Whatever happens, frames go on, in order of time.
 */
export class FrameLoop {
  /** Frames that came out of the pipeline too late to be shown in order. */
  late = 0
  readonly #options: FrameLoopOptions
  readonly #overlay = new Overlay()
  readonly #timer: NodeJS.Timeout
  #lease: PipelineLease | undefined
  #input: Shape | undefined
  #lastInputAt = Number.NEGATIVE_INFINITY
  #outputShape: Shape | undefined
  /** The newest output, for as long as nothing but frames drawn over it came after: its memory is used again then. */
  #base: VideoFrame | undefined
  #waitingSince = nowMs()
  #lastPts = Number.NEGATIVE_INFINITY
  #lastWriteAt = Number.NEGATIVE_INFINITY

  constructor(options: FrameLoopOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#idle(), 1000 / IDLE_FPS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** The pipeline that the next frames go to, or none while there is no publisher. */
  use(lease: PipelineLease | undefined): void {
    this.#lease = lease
    this.#waitingSince = nowMs()
    if (!lease) this.#input = undefined
  }

  /** A decoded frame. */
  input(frame: VideoFrame): void {
    const lease = this.#lease
    if (!lease) return
    this.#lastInputAt = nowMs()
    this.#input = { format: frame.format, width: frame.width, height: frame.height }
    const taken = lease.offer(frame)
    if (!taken && !lease.showReloadingFrame) {
      this.#base = undefined
      this.#write(frame)
      return
    }
    const { text, since } = lease.status
    if (!taken) this.#write(this.#frame(frame, text, since))
    // The ring has it or a copy of it, the overlay needs none.
    this.#options.inputMemory.give(frame.data)
  }

  /** A processed frame. */
  output(frame: VideoFrame): void {
    this.#outputShape = { format: frame.format, width: frame.width, height: frame.height }
    this.#options.latency.processed(frame.pts)
    if (this.#write(frame)) this.#base = frame
  }

  #write(frame: VideoFrame, made = false): boolean {
    if (frame.pts <= this.#lastPts) {
      this.late++
      giveBack(frame.data)
      return false
    }
    this.#lastPts = frame.pts
    this.#lastWriteAt = nowMs()
    // What is made stays behind the publisher's time, and does not set it.
    if (!made || !this.#lease) this.#options.timeline.reached(frame.pts)
    this.#options.write(frame, made)
    return true
  }

  #idle(): void {
    const { timeline, watched } = this.#options
    // While frames come in, they set the pace.
    if (nowMs() - this.#lastInputAt < IDLE_MS) return
    // The first publisher's time stamps are kept as they are, unless someone had to be shown something before.
    if (!timeline.started && !watched()) return
    const behind = this.#lease ? BEHIND_TICKS : 0
    const pts = Math.max(timeline.now() - behind, this.#lastPts + 1)
    const waiting = this.#waitingFor()
    if (waiting) {
      const shape = this.#input ?? this.#outputShape ?? { format: 'yuv420p' as const, ...this.#options.idleSize }
      this.#write(this.#frame({ ...shape, pts }, waiting.text, waiting.since), true)
    } else if (this.#base && nowMs() - this.#lastWriteAt >= REPEAT_MS) {
      this.#write({ ...this.#base, data: this.#base.data.slice(), pts }, true)
    }
  }

  /** What to say when no frame comes in; nothing while that is merely because the source is slow. */
  #waitingFor(): { text: string; since: number } | undefined {
    const lease = this.#lease
    if (!lease) return { text: 'Waiting for the publisher', since: this.#waitingSince }
    if (lease.status.phase !== 'ready') return lease.status
    if (!this.#input) return { text: 'Waiting for the first frame', since: this.#waitingSince }
    return undefined
  }

  #frame(like: Omit<VideoFrame, 'data'>, text: string, since: number): VideoFrame {
    const now = nowMs()
    // The overlay keeps the resolution that viewers see, so that nothing restarts when the pipeline answers again.
    const shape = this.#outputShape ?? like
    return this.#overlay.draw({
      format: shape.format,
      width: shape.width,
      height: shape.height,
      pts: like.pts,
      ...(this.#base && { base: this.#base }),
      text,
      elapsedMs: now - since,
      now,
    })
  }
}
