// Transport-wide congestion control feedback: draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.

/** Arrival of one packet. */
export type Arrival = {
  /** Transport-wide number, unwrapped beyond 16 bits. */
  sequence: number
  /** In milliseconds, on any clock. */
  at: number
}

const TRANSPORT_FEEDBACK = 205
const FORMAT = 15
const REFERENCE_MS = 64
const DELTA_MS = 0.25
const SYMBOLS_PER_CHUNK = 7
const NOT_RECEIVED = 0
const SMALL_DELTA = 1
const LARGE_DELTA = 2

export type TransportFeedback = {
  senderSsrc: number
  mediaSsrc: number
  /** Number of this feedback, modulo 256. */
  count: number
  /** First packet covered by this feedback, where the previous one ended. */
  from: number
  /** At least one, in order of sequence number, without duplicates. */
  arrivals: readonly Arrival[]
}

/** Packets from `from` to the last one that are not listed count as lost. */
export function writeTransportFeedback({ senderSsrc, mediaSsrc, count, from, arrivals }: TransportFeedback): Buffer {
  const reference = Math.floor(arrivals[0]!.at / REFERENCE_MS)
  const symbols: number[] = []
  const deltas: number[] = []
  let ticks = reference * (REFERENCE_MS / DELTA_MS)
  for (const { sequence, at } of arrivals) {
    while (from + symbols.length < sequence) symbols.push(NOT_RECEIVED)
    // Relative to the reader's running sum, so that rounding errors do not add up.
    const delta = Math.min(0x7fff, Math.max(-0x8000, Math.round(at / DELTA_MS) - ticks))
    ticks += delta
    const small = delta >= 0 && delta <= 0xff
    symbols.push(small ? SMALL_DELTA : LARGE_DELTA)
    if (small) deltas.push(delta)
    else deltas.push((delta >> 8) & 0xff, delta & 0xff)
  }
  const chunks = Math.ceil(symbols.length / SYMBOLS_PER_CHUNK)
  const bytes = 20 + 2 * chunks + deltas.length
  const packet = Buffer.alloc(bytes + (-bytes & 3))
  packet.set([0x80 | FORMAT, TRANSPORT_FEEDBACK])
  packet.writeUInt16BE(packet.length / 4 - 1, 2)
  packet.writeUInt32BE(senderSsrc, 4)
  packet.writeUInt32BE(mediaSsrc, 8)
  packet.writeUInt16BE(from & 0xffff, 12)
  packet.writeUInt16BE(symbols.length, 14)
  packet.writeUIntBE(reference & 0xffffff, 16, 3)
  packet[19] = count & 0xff
  for (let i = 0; i < chunks; i++) {
    // Status vector with two bits per symbol (§3.1.4).
    const vector = symbols
      .slice(i * SYMBOLS_PER_CHUNK, (i + 1) * SYMBOLS_PER_CHUNK)
      .reduce((word, symbol, at) => word | (symbol << (2 * (SYMBOLS_PER_CHUNK - 1 - at))), 0xc000)
    packet.writeUInt16BE(vector, 20 + 2 * i)
  }
  packet.set(deltas, 20 + 2 * chunks)
  return packet
}
