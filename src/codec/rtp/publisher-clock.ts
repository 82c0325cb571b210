// Puts the streams of one publisher on one clock: RFC 3550 §6.4.1.
// Bound: a few numbers for each stream, whatever comes.

import { TICKS_PER_SECOND, Unwrapper } from '../../core/clock.ts'
import type { NtpTime } from './rtcp.ts'

/** Audio that is off by more than this many ticks is moved; less is jitter of the reports themselves. */
const TOLERANCE = 450

/**
 * Maps the publisher's wall clock to presentation times, by its video. Until the sender reports arrive, streams are
 * aligned by arrival.
 */
export class PublisherClock {
  #origin: number | undefined
  /** Presentation time of the publisher's time 0, by the newest report. */
  #wall: number | undefined

  /** `leads` is true for video: it is never moved, and audio follows it. */
  stream(clockRate: number, leads: boolean): StreamClock {
    return new StreamClock(this, clockRate, leads)
  }

  /** Presentation time of the moment `now`, in milliseconds; 0 at the first call. */
  arrival(now: number): number {
    this.#origin ??= now
    return Math.round((now - this.#origin) * 90)
  }

  get wall(): number | undefined {
    return this.#wall
  }

  /** At `ntp` the video was at `pts`. */
  tie(ntp: NtpTime, pts: number): void {
    this.#wall = pts - ntp * 90
  }
}

export class StreamClock {
  readonly #clock: PublisherClock
  readonly #clockRate: number
  readonly #leads: boolean
  readonly #unwrapper = new Unwrapper(32)
  #offset: number | undefined

  constructor(clock: PublisherClock, clockRate: number, leads: boolean) {
    this.#clock = clock
    this.#clockRate = clockRate
    this.#leads = leads
  }

  /** Presentation time of an RTP time stamp in 90 kHz ticks; `now` is its arrival in milliseconds. */
  pts(timestamp: number, now: number): number {
    const ticks = this.#ticks(timestamp)
    this.#offset ??= this.#clock.arrival(now) - ticks
    return ticks + this.#offset
  }

  /** The stream starts at this RTP time stamp: presentation time 0, whenever its first packet arrives. */
  begin(timestamp: number): void {
    this.#offset = -this.#ticks(timestamp)
  }

  /** A sender report: the wall clock was at `ntp` at this RTP time stamp. */
  report(ntp: NtpTime, timestamp: number): void {
    // Before its first packet a stream has no offset to correct.
    if (this.#offset === undefined) return
    const ticks = this.#ticks(timestamp)
    if (this.#leads) {
      this.#clock.tie(ntp, ticks + this.#offset)
      return
    }
    if (this.#clock.wall === undefined) return
    const offset = Math.round(ntp * 90 + this.#clock.wall) - ticks
    if (Math.abs(offset - this.#offset) > TOLERANCE) this.#offset = offset
  }

  #ticks(timestamp: number): number {
    return Math.round((this.#unwrapper.unwrap(timestamp) * TICKS_PER_SECOND) / this.#clockRate)
  }
}
