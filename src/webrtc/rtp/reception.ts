// Reception statistics of one stream for receiver reports: RFC 3550 §6.4.1, appendices A.3 and A.8.

import type { RtpPacket } from '../../codec/rtp/packet.ts'
import { compactNtp, type NtpTime, type ReceivedReport } from '../../codec/rtp/rtcp.ts'
import { Unwrapper } from '../../core/clock.ts'

export class Reception {
  readonly #ssrc: number
  readonly #clockRate: number
  readonly #unwrapper = new Unwrapper(16)
  #first: number | undefined
  #highest = 0
  #received = 0
  #before = { expected: 0, received: 0 }
  #jitter = 0
  #transit: number | undefined
  #senderReport: { ntp: NtpTime; at: number } | undefined

  constructor(ssrc: number, clockRate: number) {
    this.#ssrc = ssrc
    this.#clockRate = clockRate
  }

  /** `now` is in milliseconds. */
  add({ sequence, timestamp }: RtpPacket, now: number): void {
    const unwrapped = this.#unwrapper.unwrap(sequence)
    this.#first ??= unwrapped
    this.#highest = Math.max(this.#highest, unwrapped)
    this.#received++
    const transit = (now / 1000) * this.#clockRate - timestamp
    const change = Math.abs(transit - (this.#transit ?? transit))
    this.#transit = transit
    // A wraparound of the time stamp is not jitter.
    if (change < this.#clockRate) this.#jitter += (change - this.#jitter) / 16
  }

  reported(ntp: NtpTime, now: number): void {
    this.#senderReport = { ntp, at: now }
  }

  /** Undefined before the first packet. */
  report(now: number): ReceivedReport | undefined {
    if (this.#first === undefined) return
    const expected = this.#highest - this.#first + 1
    const [newlyExpected, newlyReceived] = [expected - this.#before.expected, this.#received - this.#before.received]
    this.#before = { expected, received: this.#received }
    const last = this.#senderReport
    return {
      ssrc: this.#ssrc,
      fractionLost: newlyExpected > 0 ? Math.max(0, newlyExpected - newlyReceived) / newlyExpected : 0,
      lost: expected - this.#received,
      highestSequence: this.#highest % 2 ** 32,
      jitter: Math.floor(this.#jitter),
      lastSenderReport: last ? compactNtp(last.ntp) : 0,
      delaySinceLastSenderReport: last ? Math.round(((now - last.at) * 65_536) / 1000) : 0,
    }
  }
}
