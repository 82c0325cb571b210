// RTP payload format for VP8: RFC 7741; the frame header: RFC 6386 §9.1.
import { AppError } from '../../core/errors.ts'
import { plainBytes } from '../bytes.ts'

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

/** Puts the payloads of one frame, in order and without a gap, back together. */
export class Vp8Assembler {
  #parts: Uint8Array[] = []

  /** Throws `invalid-request` when the payload cannot follow what came before; the frame is then lost. */
  push(payload: Uint8Array): void {
    const { bytes, begins } = readDescriptor(payload)
    if (begins === this.#parts.length > 0) {
      throw new AppError(
        'invalid-request',
        `this VP8 RTP payload ${begins ? 'begins a frame inside another' : 'continues no frame'}`,
      )
    }
    this.#parts.push(payload.subarray(bytes))
  }

  /** The frame so far, and begins anew; undefined when nothing came. */
  take(): Uint8Array | undefined {
    const frame = this.#parts.length > 0 ? plainBytes(Buffer.concat(this.#parts)) : undefined
    this.reset()
    return frame
  }

  reset(): void {
    this.#parts = []
  }
}

/** Size in pixels of a keyframe; undefined for any other frame. */
export function vp8KeyframeSize(frame: Uint8Array): { width: number; height: number } | undefined {
  const isKey = frame.length >= 10 && (frame[0]! & 1) === 0
  if (!isKey || frame[3] !== 0x9d || frame[4] !== 0x01 || frame[5] !== 0x2a) return
  // The upper two bits scale the display and leave the coded size alone.
  return { width: (frame[6]! | (frame[7]! << 8)) & 0x3fff, height: (frame[8]! | (frame[9]! << 8)) & 0x3fff }
}
