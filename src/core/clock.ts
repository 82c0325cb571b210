/** The clock of the house: presentation times are integers in 90 kHz ticks, unwrapped once where a stream enters. */
export const TICKS_PER_SECOND = 90_000

export const ticksToMs = (ticks: number): number => ticks / 90
export const msToTicks = (ms: number): number => Math.round(ms * 90)

/**
 * Turns a counter of `bits` bits that wraps into one that does not. Each value is placed at the distance of at most
 * half a turn from the one before, so it may also go backwards (B-frames, reordered packets).
 * RTP time stamps have 32 bits (RFC 3550 §5.1), MPEG-TS ones 33 (ISO/IEC 13818-1 §2.4.3.7).
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

/** Milliseconds on a clock that never goes back; comparable between the processes of one machine. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
