import { nowMs, TICKS_PER_SECOND } from '../core/clock.ts'
import type { VideoFrame } from '../core/media/frame.ts'
import { type FrameMemory, giveBack } from '../core/media/frame-pool.ts'
import type { PipelineLease } from '../pipeline/supervision/pool/pool.ts'
import type { LatencyTracker } from './latency.ts'
import { Overlay } from './overlay/overlay.ts'
import type { Timeline } from './timeline.ts'

export type FrameLoopOptions = {
  timeline: Timeline
  latency: LatencyTracker
  /** Takes every frame of the stream, in order of time; `made` if the loop drew it for lack of another. */
  write(frame: VideoFrame, made: boolean): void
  /** Takes back the memory of decoded frames. */
  inputMemory: FrameMemory
  /** Frame size before the first frame. */
  idleSize: { width: number; height: number }
  /** Whether someone would see a frame that is drawn before the first publisher comes. */
  watched(): boolean
}

type Shape = Omit<VideoFrame, 'data' | 'pts'>

/** After this long without an input frame the loop makes its own, if something must be drawn. */
const IDLE_MS = 400
/** How often a frame is made while a publisher sends audio only, for players and recordings that need video. */
const AUDIO_ONLY_MS = 200
/** How often a frame of a slow source is repeated, for viewers who join meanwhile. */
const REPEAT_MS = 1000
/**
 * Frames made while there is a publisher stay this far behind the stream's time, so that its next frame is not too
 * late.
 */
const BEHIND_TICKS = TICKS_PER_SECOND
/** Rate of the frames that it makes. */
const IDLE_FPS = 15

/**
 * Sends each decoded frame to the pipeline if that is ready, and to the overlay if not; without a publisher the loop
 * makes frames by its own clock. Frames never stop, and are in order of time.
 */
export class FrameLoop {
  /** Pipeline outputs that came too late to be shown in order. */
  late = 0
  /** False while the publisher has sent audio only. */
  hasVideo = true
  readonly #options: FrameLoopOptions
  readonly #overlay = new Overlay()
  #timer: NodeJS.Timeout
  #stopped = false
  #lease: PipelineLease | undefined
  #input: Shape | undefined
  #lastInputAt = Number.NEGATIVE_INFINITY
  #outputShape: Shape | undefined
  /** The newest output, kept while only frames drawn over it follow; after that its memory is reused. */
  #base: VideoFrame | undefined
  #waitingSince = nowMs()
  #lastPts = Number.NEGATIVE_INFINITY
  #lastWriteAt = Number.NEGATIVE_INFINITY

  constructor(options: FrameLoopOptions) {
    this.#options = options
    this.#timer = this.#tickAfter(1000 / IDLE_FPS)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** Time of the newest frame sent. */
  get lastPts(): number {
    return this.#lastPts
  }

  /** The pipeline for the next frames; undefined while there is no publisher. */
  use(lease: PipelineLease | undefined, hasVideo = true): void {
    this.#lease = lease
    this.hasVideo = hasVideo
    this.#waitingSince = nowMs()
    if (!lease) this.#input = undefined
  }

  /** Takes a decoded frame. */
  input(frame: VideoFrame): void {
    const lease = this.#lease
    if (!lease) return
    this.hasVideo = true
    this.#lastInputAt = nowMs()
    this.#input = { format: frame.format, width: frame.width, height: frame.height }
    const taken = lease.takesVideo && lease.offer(frame)
    if (!taken && !(lease.takesVideo && lease.showReloadingFrame)) {
      this.#base = undefined
      this.#write(frame)
      return
    }
    const { text, since } = lease.status
    if (!taken) this.#write(this.#frame(frame, text, since))
    // The ring has it or a copy of it, and the overlay does not need it.
    this.#options.inputMemory.give(frame.data)
  }

  /** Takes an output frame. */
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
    // A made frame stays behind the publisher's time and does not advance it.
    if (!made || !this.#lease) this.#options.timeline.reached(frame.pts)
    this.#options.write(frame, made)
    return true
  }

  /** While frames come in, the timer only fires once none has come for a while. */
  #tick(): void {
    this.#idle()
    if (this.#stopped) return
    const quietMs = nowMs() - this.#lastInputAt
    this.#timer = this.#tickAfter(Math.max(1000 / IDLE_FPS, IDLE_MS - quietMs))
  }

  #tickAfter(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#tick(), ms)
  }

  #idle(): void {
    const { timeline, watched } = this.#options
    // While frames come in, they set the pace.
    if (nowMs() - this.#lastInputAt < IDLE_MS) return
    if (!this.hasVideo && nowMs() - this.#lastWriteAt < AUDIO_ONLY_MS) return
    // The first publisher's time stamps are kept unchanged, unless someone had to be shown something before.
    if (!timeline.started && !watched()) return
    const behind = this.#lease && this.hasVideo ? BEHIND_TICKS : 0
    const pts = Math.max(timeline.now() - behind, this.#lastPts + 1)
    const waiting = this.#waitingFor()
    if (waiting) {
      const shape = this.#input ?? this.#outputShape ?? { format: 'yuv420p' as const, ...this.#options.idleSize }
      this.#write(this.#frame({ ...shape, pts }, waiting.text, waiting.since), true)
    } else if (this.#base && nowMs() - this.#lastWriteAt >= REPEAT_MS) {
      this.#write({ ...this.#base, data: this.#base.data.slice(), pts }, true)
    }
  }

  /** What to show when no frame comes in; undefined if the source is merely slow. */
  #waitingFor(): { text: string; since: number } | undefined {
    const lease = this.#lease
    if (!lease) return { text: 'Waiting for the publisher', since: this.#waitingSince }
    if (!this.hasVideo) return { text: 'Audio only', since: nowMs() }
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
