import { slopeOfMedians } from '../statistics.ts'
import { CLIP_SECONDS } from './units.ts'

/** Pairs sent frames with their arrivals, and returns how long each took. */
export class Flights {
  readonly #sent = new Map<number, number>()
  readonly #landed: { sentAt: number; ms: number }[] = []
  readonly #arrivals: { timestamp: number; at: number }[] = []

  sent(pts: number, at: number): void {
    this.#sent.set(pts, at)
  }

  /** A frame came back with its own time. */
  landed(pts: number, at: number): void {
    const sentAt = this.#sent.get(pts)
    if (sentAt === undefined) return
    this.#sent.delete(pts)
    this.#landed.push({ sentAt, ms: at - sentAt })
  }

  /** A frame came back on a 32-bit clock with an arbitrary start; paired by `resolve`. */
  arrived(timestamp: number, at: number): void {
    this.#arrivals.push({ timestamp, at })
  }

  /** Finds the offset between both clocks as the one that matches most frames; their intervals must be irregular. */
  resolve(): void {
    const probe = this.#arrivals[Math.floor(this.#arrivals.length / 2)]
    if (!probe) return
    const turn = 2 ** 32
    const wrap = (ticks: number) => ((ticks % turn) + turn) % turn
    const known = new Map([...this.#sent.keys()].map((pts) => [wrap(pts), pts]))
    let best = { offset: 0, count: 0 }
    for (const pts of this.#sent.keys()) {
      const offset = wrap(probe.timestamp - pts)
      const count = this.#arrivals.filter(({ timestamp }) => known.has(wrap(timestamp - offset))).length
      if (count > best.count) best = { offset, count }
    }
    for (const { timestamp, at } of this.#arrivals) {
      const pts = known.get(wrap(timestamp - best.offset))
      if (pts !== undefined) this.landed(pts, at)
    }
    this.#arrivals.length = 0
  }

  /** In milliseconds, in order of arrival, of those sent from `since` to before `until`. */
  times(since = 0, until = Number.POSITIVE_INFINITY): number[] {
    return this.#landed.filter(({ sentAt }) => sentAt >= since && sentAt < until).map(({ ms }) => ms)
  }

  /** Growth of the delay in milliseconds per minute. */
  slopePerMinute(since = 0): number {
    return growthPerMinute(
      this.#landed.filter(({ sentAt }) => sentAt >= since).map(({ sentAt, ms }) => ({ at: sentAt, ms })),
    )
  }

  /** Sent between two moments and never received. */
  lost(since: number, until: number): number {
    return [...this.#sent.values()].filter((at) => at >= since && at <= until).length
  }
}

/** In milliseconds per minute. Each part is one round of the clip, so that the clip's difficult parts do not matter. */
export function growthPerMinute(delays: readonly { at: number; ms: number }[]): number {
  return slopeOfMedians(
    delays.map(({ at, ms }) => [at / 60_000, ms] as const),
    CLIP_SECONDS / 60,
  )
}
