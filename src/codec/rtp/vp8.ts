// RTP payload format for VP8: RFC 7741; the frame header: RFC 6386 §9.1.
// Bound: each byte is copied once; no more comes out than came.
import { AppError } from '../../core/errors.ts'
import { FrameAssembler } from './frame-assembler.ts'

/** Length of the payload descriptor, and whether the payload begins a frame (§4.2). */
function readDescriptor(payload: Uint8Array): { bytes: number; begins: boolean } {
  const first = payload[0] ?? 0
  let bytes = 1
  if (first & 0x80) {
    const extensions = payload[bytes++] ?? 0
    // PictureID has 7 or 15 bits, TL0PICIDX 8; TID and KEYIDX share a byte.
    if (extensions & 0x80) bytes += (payload[bytes] ?? 0) & 0x80 ? 2 : 1
    if (extensions & 0x40) bytes++
    if (extensions & 0x30) bytes++
  }
  if (bytes >= payload.length) throw new AppError('invalid-request', 'this VP8 RTP payload ends in its descriptor')
  return { bytes, begins: (first & 0x10) !== 0 && (first & 0x0f) === 0 }
}

/** First descriptor byte (§4.2): the payload begins partition 0, and so the frame. */
const BEGINS = 0x10

/** Splits one frame into RTP payloads of at most `maxBytes`; the last one must get the marker bit. */
export function packetizeVp8(frame: Uint8Array, maxBytes: number): Uint8Array[] {
  const count = Math.ceil(frame.length / (maxBytes - 1))
  const size = Math.ceil(frame.length / count)
  return Array.from({ length: count }, (_, i) => {
    const part = frame.subarray(i * size, (i + 1) * size)
    const payload = Buffer.allocUnsafe(1 + part.length)
    payload[0] = i === 0 ? BEGINS : 0
    payload.set(part, 1)
    return payload
  })
}

/** Reassembles the payloads of one frame, in order and without a gap. */
export class Vp8Assembler extends FrameAssembler {
  constructor() {
    super('VP8')
  }

  /** Throws `invalid-request` if the payload cannot follow the previous one; the frame is then lost. */
  push(payload: Uint8Array): void {
    const { bytes, begins } = readDescriptor(payload)
    this.add(payload.subarray(bytes), begins)
  }
}

/** Size in pixels of a keyframe; undefined for any other frame. */
export function vp8KeyframeSize(frame: Uint8Array): { width: number; height: number } | undefined {
  const isKey = frame.length >= 10 && (frame[0]! & 1) === 0
  if (!isKey || frame[3] !== 0x9d || frame[4] !== 0x01 || frame[5] !== 0x2a) return
  // The upper two bits are a display scale and do not change the coded size.
  return { width: (frame[6]! | (frame[7]! << 8)) & 0x3fff, height: (frame[8]! | (frame[9]! << 8)) & 0x3fff }
}
