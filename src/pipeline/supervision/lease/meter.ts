import { TICKS_PER_SECOND } from '../../../core/clock.ts'
import { LatencyMeter, type Percentiles, RateMeter } from '../../../core/counters.ts'

/** Rates over a shorter time mean nothing yet. */
const MEASURED_MS = 2000
/** Over this many frames, the median interval is the source's own: a few lost frames do not change it. */
const INTERVALS = 15
/** Limit of frames in flight whose offer time is remembered. */
const MAX_INSIDE = 256

/** Measures one stream's frames. Times are milliseconds on the clock of `nowMs`. */
export class LeaseMeter {
  lastInputAt: number | undefined
  lastOutputAt: number | undefined
  delivered = 0
  readonly #inputs = new RateMeter()
  readonly #outputs = new RateMeter()
  readonly #latency = new LatencyMeter()
  readonly #offeredAt = new Map<number, number>()
  readonly #intervals: number[] = []
  #firstInputAt: number | undefined
  #lastPts: number | undefined

  /** A frame came from the stream. */
  input(pts: number, now: number): void {
    this.#firstInputAt ??= now
    const interval = pts - (this.#lastPts ?? pts)
    this.#lastPts = pts
    if (interval > 0) this.#intervals.push(interval)
    if (this.#intervals.length > INTERVALS) this.#intervals.shift()
    this.lastInputAt = now
    this.#inputs.add(1, now)
  }

  /** It was given to the pipeline. */
  offered(pts: number, now: number): void {
    this.#offeredAt.set(pts, now)
    if (this.#offeredAt.size > MAX_INSIDE) this.#offeredAt.delete(this.#offeredAt.keys().next().value!)
  }

  /** An output was given to the stream. */
  output(pts: number, now: number): void {
    this.delivered++
    this.lastOutputAt = now
    this.#outputs.add(1, now)
    const offeredAt = this.#offeredAt.get(pts)
    if (offeredAt !== undefined) this.#latency.add(now - offeredAt)
  }

  rates(now: number): { inputFps: number; fps: number } {
    return { inputFps: this.#inputs.perSecond(now), fps: this.#outputs.perSecond(now) }
  }

  /** The rates once they mean something, from the second second on. */
  knownRates(now: number): { inputFps?: number; outputFps?: number; sourceFps?: number } {
    if (this.#firstInputAt === undefined || now - this.#firstInputAt < MEASURED_MS) return {}
    const { inputFps, fps } = this.rates(now)
    const interval = [...this.#intervals].sort((a, b) => a - b)[this.#intervals.length >> 1]
    return { inputFps, outputFps: fps, ...(interval !== undefined && { sourceFps: TICKS_PER_SECOND / interval }) }
  }

  /** From the offer of a frame to the output with its time. */
  get latencyMs(): Percentiles {
    return this.#latency.percentiles()
  }
}
