// The common part of the RTP payload formats of VP8 (RFC 7741) and VP9 (RFC 9628).
// Bound: each byte is copied once; no more comes out than came.
import { AppError } from '../../core/errors.ts'
import { plainBytes } from '../bytes.ts'

/** Reassembles the payloads of one frame, in order and without a gap. */
export class FrameAssembler {
  readonly #codec: string
  #parts: Uint8Array[] = []

  constructor(codec: string) {
    this.#codec = codec
  }

  /** Adds part of a frame; throws `invalid-request` if it cannot follow the previous one. */
  protected add(part: Uint8Array, begins: boolean): void {
    if (begins === this.#parts.length > 0) {
      const what = begins ? 'begins a frame inside another' : 'continues no frame'
      throw new AppError('invalid-request', `this ${this.#codec} RTP payload ${what}`)
    }
    this.#parts.push(part)
  }

  /** Returns the frame and starts anew; undefined if nothing came. */
  take(): Uint8Array | undefined {
    const frame = this.#parts.length > 0 ? plainBytes(Buffer.concat(this.#parts)) : undefined
    this.reset()
    return frame
  }

  reset(): void {
    this.#parts = []
  }
}
