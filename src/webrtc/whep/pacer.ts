// Spreads the packets of large frames over part of the frame interval.

/** A burst that any network carries: 16 packets are 19 kB. */
const BURST_PACKETS = 16
const BURST_EVERY_MS = 2
/** Everything that waits is sent within about this time, so that frames at 30 per second never queue up. */
const DRAIN_MS = 20

/** Payloads of one frame. */
type Paced = { payloads: readonly Uint8Array[]; timestamp: number; sent: number }

/** `isEnd`: the frame ends with these payloads. */
export type SendBurst = (payloads: readonly Uint8Array[], timestamp: number, isEnd: boolean) => void

/** Sends in small bursts, in order; a frame that fits into one is sent at once. */
export class Pacer {
  readonly #send: SendBurst
  readonly #queue: Paced[] = []
  #waiting = 0
  #timer: NodeJS.Timeout | undefined

  constructor(send: SendBurst) {
    this.#send = send
  }

  push(payloads: readonly Uint8Array[], timestamp: number): void {
    // The common case, without a queue.
    if (!this.#timer && payloads.length <= BURST_PACKETS) {
      if (payloads.length > 0) this.#send(payloads, timestamp, true)
      return
    }
    this.#queue.push({ payloads, timestamp, sent: 0 })
    this.#waiting += payloads.length
    if (!this.#timer) this.#burst()
  }

  /** Discards everything that waits. */
  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#queue.length = 0
    this.#waiting = 0
  }

  #burst(): void {
    let room = Math.max(BURST_PACKETS, Math.ceil((this.#waiting * BURST_EVERY_MS) / DRAIN_MS))
    for (let frame = this.#queue[0]; frame && room > 0; frame = this.#queue[0]) {
      const { payloads, timestamp, sent } = frame
      const end = Math.min(payloads.length, sent + room)
      room -= end - sent
      this.#waiting -= end - sent
      frame.sent = end
      if (end === payloads.length) this.#queue.shift()
      if (end > sent) this.#send(payloads.slice(sent, end), timestamp, end === payloads.length)
    }
    this.#timer = this.#waiting > 0 ? setTimeout(() => this.#burst(), BURST_EVERY_MS) : undefined
  }
}
