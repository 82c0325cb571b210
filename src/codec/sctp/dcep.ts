// Opening a data channel within an SCTP stream: RFC 8832 §5.
// Bound: time grows with the message; what comes out are two names of 256 bytes at most, which stand in it.

/** Payload protocol identifiers (RFC 8831 §8). An empty message is sent as one ignored byte. */
export const PAYLOAD = { control: 50, text: 51, binary: 53, emptyText: 56, emptyBinary: 57 } as const

const TYPE = { ack: 2, open: 3 } as const
const OPEN_HEADER_BYTES = 12
/** Flag in the channel type. */
const UNORDERED = 0x80
/** Limit of a label and of a protocol. */
const MAX_NAME_BYTES = 256

export type ChannelOpen = { label: string; protocol: string; ordered: boolean }

export const CHANNEL_ACK: Buffer = Buffer.of(TYPE.ack)

/** Undefined if it is not a DATA_CHANNEL_OPEN message, or a name is too long. */
export function parseChannelOpen(message: Buffer): ChannelOpen | undefined {
  if (message.length < OPEN_HEADER_BYTES || message[0] !== TYPE.open) return
  const labelBytes = message.readUInt16BE(8)
  const protocolBytes = message.readUInt16BE(10)
  if (labelBytes > MAX_NAME_BYTES || protocolBytes > MAX_NAME_BYTES) return
  const protocolAt = OPEN_HEADER_BYTES + labelBytes
  if (protocolAt + protocolBytes !== message.length) return
  return {
    label: message.toString('utf8', OPEN_HEADER_BYTES, protocolAt),
    protocol: message.toString('utf8', protocolAt),
    ordered: (message[1]! & UNORDERED) === 0,
  }
}

/** For an ordered and reliable channel. */
export function writeChannelOpen(label: string): Buffer {
  const name = Buffer.from(label)
  const header = Buffer.alloc(OPEN_HEADER_BYTES)
  header[0] = TYPE.open
  header.writeUInt16BE(name.length, 8)
  return Buffer.concat([header, name])
}
