import { createHash } from 'node:crypto'
import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { Colour } from '../../core/media/colour.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import type { Context } from '../../core/resource.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import { encodeJpeg } from '../../ffmpeg/still.ts'

export type Still = { jpeg: Uint8Array; etag: string }

/** A still is kept for this long from the start of its encode, and until that ends, however many clients ask. */
const KEEP_MS = 500
/** Still encoders at once, over all streams: each is a process, and live output has priority. */
const MAX_ENCODERS = 2

let encoders = 0

/** The newest output frame as a JPEG: one encode at a time, for all requests within half a second. */
export class StillCache {
  readonly #ffmpeg: Ffmpeg
  readonly #context: Context
  #made: { at: number; pts: number; still: Promise<Still>; pending: boolean } | undefined

  constructor(ffmpeg: Ffmpeg, context: Context) {
    this.#ffmpeg = ffmpeg
    this.#context = context
  }

  /**
   * Rejects with `capacity` if too many stills are being encoded, with `not-found` if the stream ends, and with the
   * encoder's error.
   */
  get(frame: VideoFrame, colour: Colour): Promise<Still> {
    const now = nowMs()
    const last = this.#made
    if (last && (last.pending || last.pts === frame.pts || now - last.at < KEEP_MS)) return last.still
    if (encoders >= MAX_ENCODERS)
      throw new AppError('capacity', `${MAX_ENCODERS} still images are being encoded already`, { retryable: true })
    const still = this.#encode(frame, colour)
    const made = { at: now, pts: frame.pts, still, pending: true }
    this.#made = made
    still.then(
      () => {
        made.pending = false
      },
      // A failed still is not cached.
      () => {
        this.#made = undefined
      },
    )
    return still
  }

  async #encode(frame: VideoFrame, colour: Colour): Promise<Still> {
    encoders++
    try {
      // Copied, because the frame's memory is reused.
      const copy = { ...frame, data: frame.data.slice() }
      const jpeg = await encodeJpeg(this.#ffmpeg, copy, this.#context, colour)
      return { jpeg, etag: `"${createHash('sha256').update(jpeg).digest('base64url').slice(0, 22)}"` }
    } catch (thrown) {
      if (!this.#context.signal?.aborted) throw thrown
      throw new AppError('not-found', 'the stream has ended', { cause: thrown })
    } finally {
      encoders--
    }
  }
}
