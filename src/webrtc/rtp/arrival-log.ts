// Records packet arrivals for the sender's bitrate estimation (transport-wide congestion control).
import { writeTransportFeedback } from '../../codec/rtp/transport-cc.ts'
import { Unwrapper } from '../../core/clock.ts'

/** Limit of packets in one feedback; after a longer gap the log starts anew. */
const MAX_SPAN = 500

export class ArrivalLog {
  readonly #senderSsrc: number
  readonly #unwrapper = new Unwrapper(16)
  readonly #arrivals = new Map<number, number>()
  #from: number | undefined
  #count = 0

  constructor(senderSsrc: number) {
    this.#senderSsrc = senderSsrc
  }

  /** `sequence` is the transport-wide number, 0 to 65535; `at` is in milliseconds. */
  add(sequence: number, at: number): void {
    const unwrapped = this.#unwrapper.unwrap(sequence)
    this.#from ??= unwrapped
    // A packet that was reported lost stays lost.
    if (unwrapped >= this.#from && !this.#arrivals.has(unwrapped)) this.#arrivals.set(unwrapped, at)
  }

  /** Feedback about arrivals since the last one; undefined if there were none. */
  takeFeedback(mediaSsrc: number): Buffer | undefined {
    const all = [...this.#arrivals].map(([sequence, at]) => ({ sequence, at })).sort((a, b) => a.sequence - b.sequence)
    this.#arrivals.clear()
    const last = all.at(-1)
    if (!last || this.#from === undefined) return
    const from = Math.max(this.#from, last.sequence - MAX_SPAN + 1)
    const arrivals = all.filter(({ sequence }) => sequence >= from)
    this.#from = last.sequence + 1
    return writeTransportFeedback({ senderSsrc: this.#senderSsrc, mediaSsrc, count: this.#count++, from, arrivals })
  }
}
