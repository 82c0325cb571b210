// RTCP: RFC 3550 §6, feedback RFC 4585 §6, FIR RFC 5104 §4.3.1, REMB draft-alvestrand-rmcat-remb-03.
// Bound: read once from front to back; at most one message comes out for eight bytes, and 17 sequence numbers for four.

const SENDER_REPORT = 200
const RECEIVER_REPORT = 201
const SOURCE_DESCRIPTION = 202
const TRANSPORT_FEEDBACK = 205
const PAYLOAD_FEEDBACK = 206
const GENERIC_NACK = 1
const PICTURE_LOSS = 1
const FULL_INTRA_REQUEST = 4
const APPLICATION_FEEDBACK = 15

/** A receiver's report on one of our streams. */
export type ReportBlock = {
  ssrc: number
  /** 0 to 1, since the last report. */
  fractionLost: number
  /** Highest sequence number received, with the number of wraparounds above 16 bits. */
  highestSequence: number
  /** In the payload's clock rate. */
  jitter: number
  /** Middle 32 bits of the NTP time of the last sender report; 0 for none. */
  lastSenderReport: number
  /** Time since that report arrived, in 1/65536 s. */
  delaySinceLastSenderReport: number
}

export type RtcpMessage =
  | { kind: 'sender-report'; ssrc: number; ntp: NtpTime; timestamp: number; reports: ReportBlock[] }
  | { kind: 'receiver-report'; ssrc: number; reports: ReportBlock[] }
  | { kind: 'nack'; ssrc: number; sequences: number[] }
  | { kind: 'picture-loss'; ssrc: number }
  | { kind: 'bandwidth-estimate'; bitsPerSecond: number }

/** Milliseconds since 1900, the epoch of NTP; a float is exact to about a microsecond. */
export type NtpTime = number

const EPOCH_1900_MS = 2_208_988_800_000
export const ntpFromUnixMs = (ms: number): NtpTime => ms + EPOCH_1900_MS

/** Middle 32 bits of an NTP time, as reports repeat it: units of 1/65536 s. */
export const compactNtp = (ntp: NtpTime): number => Math.floor((ntp / 1000) * 65536) % 2 ** 32

/** Messages of a compound packet; unknown and damaged ones are skipped. */
export function parseRtcp(data: Uint8Array): RtcpMessage[] {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length)
  const messages: RtcpMessage[] = []
  for (let at = 0; at + 4 <= bytes.length; ) {
    const end = at + 4 + 4 * bytes.readUInt16BE(at + 2)
    if (bytes[at]! >> 6 !== 2 || end > bytes.length) break
    const message = parseOne(bytes[at + 1]!, bytes[at]! & 0x1f, bytes.subarray(at + 4, end))
    if (message) messages.push(message)
    at = end
  }
  return messages
}

function parseOne(type: number, count: number, body: Buffer): RtcpMessage | undefined {
  switch (type) {
    case SENDER_REPORT: {
      if (body.length < 24) return
      const ntp = body.readUInt32BE(4) * 1000 + (body.readUInt32BE(8) * 1000) / 2 ** 32
      const timestamp = body.readUInt32BE(12)
      return {
        kind: 'sender-report',
        ssrc: body.readUInt32BE(0),
        ntp,
        timestamp,
        reports: reportBlocks(body, 24, count),
      }
    }
    case RECEIVER_REPORT:
      if (body.length < 4) return
      return { kind: 'receiver-report', ssrc: body.readUInt32BE(0), reports: reportBlocks(body, 4, count) }
    case TRANSPORT_FEEDBACK:
      return count === GENERIC_NACK ? parseNack(body) : undefined
    case PAYLOAD_FEEDBACK:
      return parsePayloadFeedback(count, body)
    default:
      return
  }
}

function reportBlocks(body: Buffer, offset: number, count: number): ReportBlock[] {
  const blocks: ReportBlock[] = []
  for (let at = offset; blocks.length < count && at + 24 <= body.length; at += 24) {
    blocks.push({
      ssrc: body.readUInt32BE(at),
      fractionLost: body[at + 4]! / 256,
      highestSequence: body.readUInt32BE(at + 8),
      jitter: body.readUInt32BE(at + 12),
      lastSenderReport: body.readUInt32BE(at + 16),
      delaySinceLastSenderReport: body.readUInt32BE(at + 20),
    })
  }
  return blocks
}

/** RFC 4585 §6.2.1: a sequence number and a mask of the 16 after it. */
function parseNack(body: Buffer): RtcpMessage | undefined {
  if (body.length < 12) return
  const sequences: number[] = []
  for (let at = 8; at + 4 <= body.length; at += 4) {
    const first = body.readUInt16BE(at)
    const mask = body.readUInt16BE(at + 2)
    sequences.push(first)
    for (let bit = 0; bit < 16; bit++) if (mask & (1 << bit)) sequences.push((first + bit + 1) & 0xffff)
  }
  return { kind: 'nack', ssrc: body.readUInt32BE(4), sequences }
}

function parsePayloadFeedback(format: number, body: Buffer): RtcpMessage | undefined {
  if (body.length < 8) return
  if (format === PICTURE_LOSS) return { kind: 'picture-loss', ssrc: body.readUInt32BE(4) }
  // A FIR names the stream in its entry, not in the header (RFC 5104 §4.3.1.1).
  if (format === FULL_INTRA_REQUEST && body.length >= 16) return { kind: 'picture-loss', ssrc: body.readUInt32BE(8) }
  if (format === APPLICATION_FEEDBACK && body.length >= 16 && body.toString('latin1', 8, 12) === 'REMB') {
    const mantissa = ((body[13]! & 0x03) << 16) | body.readUInt16BE(14)
    return { kind: 'bandwidth-estimate', bitsPerSecond: mantissa * 2 ** (body[13]! >> 2) }
  }
  return
}

function head(type: number, count: number, bytes: number): Buffer {
  const packet = Buffer.alloc(bytes)
  packet[0] = 0x80 | count
  packet[1] = type
  packet.writeUInt16BE(bytes / 4 - 1, 2)
  return packet
}

export type SenderReport = {
  ssrc: number
  ntp: NtpTime
  /** RTP time stamp of the moment `ntp`. */
  timestamp: number
  packets: number
  bytes: number
}

export function writeSenderReport(report: SenderReport): Buffer {
  const packet = head(SENDER_REPORT, 0, 28)
  packet.writeUInt32BE(report.ssrc, 4)
  writeNtp(packet, report.ntp, 8)
  packet.writeUInt32BE(report.timestamp >>> 0, 16)
  packet.writeUInt32BE(report.packets % 2 ** 32, 20)
  packet.writeUInt32BE(report.bytes % 2 ** 32, 24)
  return packet
}

function writeNtp(packet: Buffer, ntp: NtpTime, at: number): void {
  const seconds = Math.floor(ntp / 1000)
  packet.writeUInt32BE(seconds % 2 ** 32, at)
  packet.writeUInt32BE(Math.floor(((ntp - seconds * 1000) / 1000) * 2 ** 32), at + 4)
}

export type ReceivedReport = ReportBlock & {
  /** Packets since the start of the stream; may be negative if packets were duplicated. */
  lost: number
}

export function writeReceiverReport(ssrc: number, reports: readonly ReceivedReport[]): Buffer {
  const packet = head(RECEIVER_REPORT, reports.length, 8 + 24 * reports.length)
  packet.writeUInt32BE(ssrc, 4)
  for (const [i, report] of reports.entries()) {
    const at = 8 + 24 * i
    packet.writeUInt32BE(report.ssrc, at)
    packet[at + 4] = Math.min(255, Math.max(0, Math.floor(report.fractionLost * 256)))
    packet.writeIntBE(Math.min(0x7fffff, Math.max(-0x800000, report.lost)), at + 5, 3)
    packet.writeUInt32BE(report.highestSequence >>> 0, at + 8)
    packet.writeUInt32BE(report.jitter >>> 0, at + 12)
    packet.writeUInt32BE(report.lastSenderReport >>> 0, at + 16)
    packet.writeUInt32BE(report.delaySinceLastSenderReport >>> 0, at + 20)
  }
  return packet
}

/** RFC 3550 §6.5: the name that groups the streams of one sender. */
export function writeCname(ssrc: number, cname: string): Buffer {
  const name = Buffer.from(cname.slice(0, 255), 'latin1')
  // One item, its end mark, and padding to the next word.
  const packet = head(SOURCE_DESCRIPTION, 1, 8 + 4 * Math.ceil((2 + name.length + 1) / 4))
  packet.writeUInt32BE(ssrc, 4)
  packet[8] = 1
  packet[9] = name.length
  packet.set(name, 10)
  return packet
}

/** `sequences` are in stream order; each entry covers 17 of them. */
export function writeNack(senderSsrc: number, ssrc: number, sequences: readonly number[]): Buffer {
  const entries: { first: number; mask: number }[] = []
  for (const sequence of sequences) {
    const last = entries.at(-1)
    const ahead = last ? (sequence - last.first) & 0xffff : 0
    if (last && ahead >= 1 && ahead <= 16) last.mask |= 1 << (ahead - 1)
    else entries.push({ first: sequence, mask: 0 })
  }
  const packet = head(TRANSPORT_FEEDBACK, GENERIC_NACK, 12 + 4 * entries.length)
  packet.writeUInt32BE(senderSsrc, 4)
  packet.writeUInt32BE(ssrc, 8)
  for (const [i, { first, mask }] of entries.entries()) packet.writeUInt32BE(((first << 16) | mask) >>> 0, 12 + 4 * i)
  return packet
}

export function writePictureLoss(senderSsrc: number, ssrc: number): Buffer {
  const packet = head(PAYLOAD_FEEDBACK, PICTURE_LOSS, 12)
  packet.writeUInt32BE(senderSsrc, 4)
  packet.writeUInt32BE(ssrc, 8)
  return packet
}
