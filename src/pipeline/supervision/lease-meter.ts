import { LatencyMeter, type Percentiles, RateMeter } from '../../core/counters.ts'

/** Rates over a shorter time say nothing yet. */
const MEASURED_MS = 2000
/** Frames on their way whose time of offer is remembered. */
const MAX_INSIDE = 256

/** What is measured of one stream's frames. Times are milliseconds on the clock of `nowMs`. */
export class LeaseMeter {
  lastInputAt: number | undefined
  lastOutputAt: number | undefined
  delivered = 0
  readonly #inputs = new RateMeter()
  readonly #outputs = new RateMeter()
  readonly #latency = new LatencyMeter()
  readonly #offeredAt = new Map<number, number>()
  #firstInputAt: number | undefined

  /** A frame came from the stream. */
  input(now: number): void {
    this.#firstInputAt ??= now
    this.lastInputAt = now
    this.#inputs.add(1, now)
  }

  /** It went to the pipeline. */
  offered(pts: number, now: number): void {
    this.#offeredAt.set(pts, now)
    if (this.#offeredAt.size > MAX_INSIDE) this.#offeredAt.delete(this.#offeredAt.keys().next().value!)
  }

  /** An output went to the stream. */
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

  /** The same once they mean something, which is from the second second on. */
  knownRates(now: number): { inputFps?: number; outputFps?: number } {
    if (this.#firstInputAt === undefined || now - this.#firstInputAt < MEASURED_MS) return {}
    const { inputFps, fps } = this.rates(now)
    return { inputFps, outputFps: fps }
  }

  /** From the offer of a frame to the output with its time. */
  get latencyMs(): Percentiles {
    return this.#latency.percentiles()
  }
}
