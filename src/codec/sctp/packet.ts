// Validation of packets for the SCTP association of data channels: RFC 9260 §3, RFC 3758 and RFC 6525, as used by RFC
// 8831.
// Bound: at most 2,048 bytes are read, once from front to back; what comes out is one number for each DATA chunk.

/** Packets on a path have at most 1,500 bytes. */
const MAX_PACKET_BYTES = 2048
const HEADER_BYTES = 12
const CHUNK_HEADER_BYTES = 4

/** Limit of stream identifiers, as in browsers. */
export const SCTP_STREAMS = 1024
/** Limit of acknowledgements ahead of the first missing packet: more than can be in flight. */
const MAX_GAP = 4096

const CHUNK = {
  data: 0,
  init: 1,
  initAck: 2,
  sack: 3,
  heartbeat: 4,
  heartbeatAck: 5,
  abort: 6,
  error: 9,
  cookieEcho: 10,
  reconfig: 130,
  forwardTsn: 192,
} as const
/** Chunks without content to check: SHUTDOWN, SHUTDOWN ACK, COOKIE ECHO, COOKIE ACK, SHUTDOWN COMPLETE. */
const PLAIN = [7, 8, CHUNK.cookieEcho, 11, 14]
/** Offset of the parameters of each. */
const PARAMETERS_AT: Record<number, number> = {
  [CHUNK.init]: 16,
  [CHUNK.initAck]: 16,
  [CHUNK.heartbeat]: 0,
  [CHUNK.heartbeatAck]: 0,
  [CHUNK.abort]: 0,
  [CHUNK.error]: 0,
  [CHUNK.reconfig]: 0,
}

export type SctpPacket = {
  /** Whether it asks for an association. */
  init: boolean
  /** Transmission sequence numbers of its DATA chunks. */
  sequences: number[]
}

/**
 * Undefined for a packet that is incomplete, has chunks that were not negotiated, or lengths and ranges on which a
 * trusting reader would loop forever.
 */
export function readSctpPacket(packet: Buffer): SctpPacket | undefined {
  if (packet.length < HEADER_BYTES + CHUNK_HEADER_BYTES || packet.length > MAX_PACKET_BYTES) return
  const sequences: number[] = []
  let init = false
  let chunks = 0
  for (let at = HEADER_BYTES; at < packet.length; chunks++) {
    if (at + CHUNK_HEADER_BYTES > packet.length) return
    const type = packet[at]!
    const end = at + packet.readUInt16BE(at + 2)
    if (end < at + CHUNK_HEADER_BYTES || end > packet.length) return
    const body = packet.subarray(at + CHUNK_HEADER_BYTES, end)
    if (!isSound(type, body)) return
    if (type === CHUNK.data) sequences.push(body.readUInt32BE(0))
    if (type === CHUNK.init || type === CHUNK.initAck) init = true
    at = padded(end - at) + at
  }
  // §6.10: neither shares a packet with other chunks.
  return init && chunks > 1 ? undefined : { init, sequences }
}

const padded = (bytes: number) => bytes + (-bytes & 3)

function isSound(type: number, body: Buffer): boolean {
  if (type === CHUNK.data) return body.length > 12 && body.readUInt16BE(4) < SCTP_STREAMS
  if (type === CHUNK.sack) return isSoundSack(body)
  if (type === CHUNK.forwardTsn) return isSoundForward(body)
  const parametersAt = PARAMETERS_AT[type]
  if (parametersAt === undefined) return PLAIN.includes(type)
  return body.length >= parametersAt && areSoundParameters(body.subarray(parametersAt))
}

/** §3.3.4: ranges in rising order. */
function isSoundSack(body: Buffer): boolean {
  if (body.length < 12) return false
  const gaps = body.readUInt16BE(8)
  const duplicates = body.readUInt16BE(10)
  if (body.length !== 12 + 4 * (gaps + duplicates)) return false
  let last = 0
  for (let gap = 0; gap < gaps; gap++) {
    const [first, end] = [body.readUInt16BE(12 + 4 * gap), body.readUInt16BE(14 + 4 * gap)]
    if (first <= last || end < first || end > MAX_GAP) return false
    last = end
  }
  return true
}

/** RFC 3758 §3.2. */
function isSoundForward(body: Buffer): boolean {
  if (body.length < 4 || body.length % 4 !== 0) return false
  for (let at = 4; at < body.length; at += 4) if (body.readUInt16BE(at) >= SCTP_STREAMS) return false
  return true
}

/** §3.2.1; error causes have the same form. */
function areSoundParameters(list: Buffer): boolean {
  for (let at = 0; at < list.length; ) {
    if (at + 4 > list.length) return false
    const length = list.readUInt16BE(at + 2)
    if (length < 4 || at + length > list.length) return false
    at += padded(length)
  }
  return true
}
