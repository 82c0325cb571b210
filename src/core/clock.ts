/** All presentation times are integers in 90 kHz ticks, unwrapped once where a stream enters. */
export const TICKS_PER_SECOND = 90_000

export const ticksToMs = (ticks: number): number => ticks / 90
export const msToTicks = (ms: number): number => Math.round(ms * 90)

/**
 * Unwraps a counter of `bits` bits. Each value is placed within half a period of the previous one, so it may also go
 * backwards (B-frames, reordered packets). RTP time stamps have 32 bits (RFC 3550 §5.1), those of MPEG-TS 33 (ISO/IEC
 * 13818-1 §2.4.3.7).
 */
export class Unwrapper {
  readonly #turn: number
  #last: number | undefined

  constructor(bits: number) {
    this.#turn = 2 ** bits
  }

  unwrap(value: number): number {
    if (this.#last === undefined) {
      this.#last = value
      return value
    }
    const turn = this.#turn
    const lastWrapped = ((this.#last % turn) + turn) % turn
    let step = value - lastWrapped
    if (step > turn / 2) step -= turn
    else if (step < -turn / 2) step += turn
    this.#last += step
    return this.#last
  }
}

/** Milliseconds on a monotonic clock; comparable between the processes of one machine. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
