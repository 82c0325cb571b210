import { nowMs } from '../core/clock.ts'
import type { VideoFrame } from '../core/frame.ts'
import type { PipelineLease } from '../pipeline/pool.ts'
import type { LatencyTracker } from './latency.ts'
import { Overlay } from './overlay.ts'
import type { Timeline } from './timeline.ts'

export type FrameLoopOptions = {
  timeline: Timeline
  latency: LatencyTracker
  /** Where every picture of the stream goes, in order of time. */
  write(frame: VideoFrame): void
  /** Shape of the picture while there was none yet. */
  idleSize: { width: number; height: number }
}

/** A pipeline that is ready but silent for this long while pictures come in is shown as waiting. */
const STALLED_MS = 1000
/** With no picture coming in for this long, the loop makes its own. */
const IDLE_MS = 400
/** Pace of the pictures it makes. */
const IDLE_FPS = 15

/**
 * The junction of a stream: each decoded picture goes to the pipeline when that is ready, and to the overlay when not;
 * without a publisher the loop makes pictures by its own clock. Whatever happens, pictures go on, in order of time.
 */
export class FrameLoop {
  /** Pictures that came out of the pipeline too late to be shown in order. */
  late = 0
  readonly #options: FrameLoopOptions
  readonly #overlay = new Overlay()
  readonly #timer: NodeJS.Timeout
  #lease: PipelineLease | undefined
  #input: VideoFrame | undefined
  #lastInputAt = Number.NEGATIVE_INFINITY
  #lastOutput: VideoFrame | undefined
  /** When the pipeline last gave a picture, or began to be asked for one. */
  #aliveAt = nowMs()
  #waitingSince = nowMs()
  #lastPts = Number.NEGATIVE_INFINITY
  #lastWriteAt = Number.NEGATIVE_INFINITY
  #intervalMs = 0

  constructor(options: FrameLoopOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#idle(), 1000 / IDLE_FPS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** The pipeline that the next pictures go to, or none while there is no publisher. */
  use(lease: PipelineLease | undefined): void {
    this.#lease = lease
    this.#aliveAt = nowMs()
    this.#waitingSince = nowMs()
    if (!lease) this.#input = undefined
  }

  /** A decoded picture. */
  input(frame: VideoFrame): void {
    const lease = this.#lease
    if (!lease) return
    const now = nowMs()
    this.#input = frame
    // After a pause the pipeline owes nothing yet.
    if (now - this.#lastInputAt > STALLED_MS) this.#aliveAt = now
    this.#lastInputAt = now
    const taken = lease.offer(frame)
    if (!taken) this.#aliveAt = now
    else if (now - this.#aliveAt < this.#patienceMs) return
    if (!taken && !lease.showReloadingFrame) this.#write(frame)
    else
      this.#write(
        this.#picture(
          frame,
          taken ? `Waiting for ${lease.pipeline}` : lease.status.text,
          taken ? this.#aliveAt : lease.status.since,
        ),
      )
  }

  /** A processed picture. */
  output(frame: VideoFrame): void {
    const now = nowMs()
    // A slow pipeline is not a stalled one: its own pace tells how long to wait.
    this.#intervalMs = Math.min(5000, 0.8 * this.#intervalMs + 0.2 * (now - this.#aliveAt))
    this.#aliveAt = now
    this.#lastOutput = frame
    this.#options.latency.processed(frame.pts)
    this.#write(frame)
  }

  get #patienceMs(): number {
    return Math.max(STALLED_MS, 4 * this.#intervalMs)
  }

  #write(frame: VideoFrame): void {
    if (frame.pts <= this.#lastPts) {
      this.late++
      return
    }
    this.#lastPts = frame.pts
    this.#lastWriteAt = nowMs()
    this.#options.timeline.reached(frame.pts)
    this.#options.write(frame)
  }

  #idle(): void {
    const now = nowMs()
    if (now - this.#lastWriteAt < IDLE_MS && this.#sinceInput(now) < IDLE_MS) return
    // Pictures come in and the pipeline, slow but alive, has not answered yet.
    if (this.#sinceInput(now) < IDLE_MS && now - this.#aliveAt < this.#patienceMs) return
    const pts = Math.max(this.#options.timeline.now(), this.#lastPts + 1)
    const lease = this.#lease
    const text = !lease
      ? 'Waiting for the publisher'
      : this.#input
        ? 'Waiting for pictures'
        : lease.status.phase === 'ready'
          ? 'Starting'
          : lease.status.text
    const since = !lease ? this.#waitingSince : this.#input ? this.#lastInputAt : this.#waitingSince
    const shape = this.#input ?? this.#lastOutput ?? { format: 'yuv420p' as const, ...this.#options.idleSize }
    this.#write(this.#picture({ ...shape, pts }, text, since))
  }

  #sinceInput(now: number): number {
    return now - this.#lastInputAt
  }

  #picture(like: Omit<VideoFrame, 'data'>, text: string, since: number): VideoFrame {
    const now = nowMs()
    // The picture keeps the shape that viewers see, so that nothing restarts when the pipeline answers again.
    const shape = this.#lastOutput ?? like
    return this.#overlay.draw({
      format: shape.format,
      width: shape.width,
      height: shape.height,
      pts: like.pts,
      ...(this.#lastOutput && { base: this.#lastOutput }),
      text,
      elapsedMs: now - since,
      now,
    })
  }
}
