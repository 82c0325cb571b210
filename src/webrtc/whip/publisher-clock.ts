// Puts the streams of one publisher on one clock: RFC 3550 §6.4.1.
import type { NtpTime } from '../../codec/rtp/rtcp.ts'
import { TICKS_PER_SECOND, Unwrapper } from '../../core/clock.ts'

/** A audio this much off, in ticks, is heard; less is the unevenness of the reports themselves. */
const TOLERANCE = 450

/**
 * The wall clock of the publisher against presentation times, by its video. Until the reports arrive that tell it,
 * streams are set side by side as they came.
 */
export class PublisherClock {
  #origin: number | undefined
  /** Presentation time of the publisher's time 0, by the newest report. */
  #wall: number | undefined

  /** `leads` is true for video: it is never moved, and the audio follows it. */
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

  /** At `ntp` the video showed `pts`. */
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

  /** Presentation time of an RTP time stamp, in 90 kHz ticks; `now` is when it came, in milliseconds. */
  pts(timestamp: number, now: number): number {
    const ticks = this.#ticks(timestamp)
    this.#offset ??= this.#clock.arrival(now) - ticks
    return ticks + this.#offset
  }

  /** A sender report said that the wall clock stood at `ntp` at this RTP time stamp. */
  report(ntp: NtpTime, timestamp: number): void {
    // Before its first packet a stream has no place to be moved from.
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
