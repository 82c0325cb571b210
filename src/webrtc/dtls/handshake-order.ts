// Gives werift the peer's handshake messages as it needs them: complete, once each, and in order (RFC 6347 §4.2.2 to
// §4.2.4). If the round trip takes more than half a second, a retransmitted flight crosses the answer to the previous
// one, and werift repeats its own flight for a message that it has already answered.
// Bound: what is held is what came and could not be passed on yet, MAX_HELD_BYTES at most; its work is linear in its
// input.
import { nowMs } from '../../core/clock.ts'

const RECORD_HEADER_BYTES = 13
const MESSAGE_HEADER_BYTES = 12
const HANDSHAKE = 22
const CLIENT_HELLO = 1
/** The peer's last unencrypted message: a server's ServerHelloDone, a client's CertificateVerify. */
const LAST_IN_CLEAR = { client: 14, server: 15 } as const
/** A certificate with its chain has a few thousand bytes; no WebRTC handshake message is longer than this. */
const MAX_MESSAGE_BYTES = 16_384
const MAX_HELD_BYTES = 64 * 1024
/** Encrypted records that came before their keys: a Finished, and what a peer sends right after it. */
const MAX_EARLY_RECORDS = 4
/** Two ClientHellos closer together than this were sent before the first answer could arrive. */
const HELLO_AGAIN_MS = 300

/** A message that waits for its other fragments, or for earlier messages. */
type Partial = { type: number; body: Buffer; came: Uint8Array; missing: number }

export class HandshakeOrder {
  readonly #lastInClear: number
  readonly #partial = new Map<number, Partial>()
  #next = 0
  #heldBytes = 0
  #early: Buffer[] = []
  #clearIsOver = false
  #helloAt = Number.NEGATIVE_INFINITY

  /** `role`: our own. */
  constructor(role: 'server' | 'client') {
    this.#lastInClear = LAST_IN_CLEAR[role]
  }

  /** Calls `give` with each record that is due, in order. A truncated record ends the datagram. */
  pass(datagram: Buffer, give: (record: Buffer) => void): void {
    for (let at = 0; at + RECORD_HEADER_BYTES <= datagram.length; ) {
      const end = at + RECORD_HEADER_BYTES + datagram.readUInt16BE(at + 11)
      if (end > datagram.length) return
      const record = datagram.subarray(at, end)
      const isEncrypted = record.readUInt16BE(3) > 0
      if (isEncrypted) this.#encrypted(record, give)
      else if (record[0] === HANDSHAKE) this.#handshake(record, give)
      else give(record)
      at = end
    }
  }

  #encrypted(record: Buffer, give: (record: Buffer) => void): void {
    if (this.#clearIsOver) give(record)
    else if (this.#early.length < MAX_EARLY_RECORDS) this.#early.push(Buffer.from(record))
  }

  #handshake(record: Buffer, give: (record: Buffer) => void): void {
    for (let at = RECORD_HEADER_BYTES; at + MESSAGE_HEADER_BYTES <= record.length; ) {
      const type = record[at]!
      const length = record.readUIntBE(at + 1, 3)
      const seq = record.readUInt16BE(at + 4)
      const from = record.readUIntBE(at + 6, 3)
      const to = from + record.readUIntBE(at + 9, 3)
      const end = at + MESSAGE_HEADER_BYTES + to - from
      if (end > record.length || to > length) return
      const isDue = seq >= this.#next || (seq === 0 && type === CLIENT_HELLO && this.#answersHello)
      if (isDue && length <= MAX_MESSAGE_BYTES)
        this.#keep(seq, { type, length, from, to }, record.subarray(at + MESSAGE_HEADER_BYTES, end))
      at = end
    }
    this.#giveComplete(record, give)
  }

  /**
   * Until the second ClientHello, the first one is answered each time it comes, because the answer is not
   * retransmitted.
   */
  get #answersHello(): boolean {
    return this.#next === 1 && !this.#partial.has(1)
  }

  #keep(
    seq: number,
    { type, length, from, to }: { type: number; length: number; from: number; to: number },
    bytes: Buffer,
  ): void {
    let partial = this.#partial.get(seq)
    if (!partial) {
      if (this.#heldBytes + length > MAX_HELD_BYTES) return
      this.#heldBytes += length
      partial = { type, body: Buffer.alloc(length), came: new Uint8Array(length), missing: length }
      this.#partial.set(seq, partial)
    }
    if (partial.type !== type || partial.body.length !== length) return
    bytes.copy(partial.body, from)
    for (let at = from; at < to; at++) {
      if (partial.came[at] === 0) partial.missing--
      partial.came[at] = 1
    }
  }

  #giveComplete(record: Buffer, give: (record: Buffer) => void): void {
    if (this.#answersHello) this.#giveHelloAgain(record, give)
    for (;;) {
      const partial = this.#takeWhole(this.#next)
      if (!partial) return
      if (this.#next === 0) this.#helloAt = nowMs()
      give(message(record, partial.type, this.#next++, partial.body))
      if (partial.type === this.#lastInClear) {
        this.#clearIsOver = true
        for (const early of this.#early.splice(0)) give(early)
      }
    }
  }

  #giveHelloAgain(record: Buffer, give: (record: Buffer) => void): void {
    const hello = this.#takeWhole(0)
    const now = nowMs()
    if (!hello || now - this.#helloAt < HELLO_AGAIN_MS) return
    this.#helloAt = now
    give(message(record, hello.type, 0, hello.body))
  }

  /** Undefined if it is missing or incomplete. */
  #takeWhole(seq: number): Partial | undefined {
    const partial = this.#partial.get(seq)
    if (!partial || partial.missing > 0) return undefined
    this.#partial.delete(seq)
    this.#heldBytes -= partial.body.length
    return partial
  }
}

/** A record like `like` with one complete message. */
function message(like: Buffer, type: number, seq: number, body: Buffer): Buffer {
  const record = Buffer.alloc(RECORD_HEADER_BYTES + MESSAGE_HEADER_BYTES + body.length)
  like.copy(record, 0, 0, 11)
  record.writeUInt16BE(MESSAGE_HEADER_BYTES + body.length, 11)
  record[RECORD_HEADER_BYTES] = type
  record.writeUIntBE(body.length, RECORD_HEADER_BYTES + 1, 3)
  record.writeUInt16BE(seq, RECORD_HEADER_BYTES + 4)
  record.writeUIntBE(body.length, RECORD_HEADER_BYTES + 9, 3)
  body.copy(record, RECORD_HEADER_BYTES + MESSAGE_HEADER_BYTES)
  return record
}
