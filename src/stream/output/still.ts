import { createHash } from 'node:crypto'
import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import type { Context } from '../../core/resource.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import { encodeJpeg } from '../../ffmpeg/still.ts'

export type Still = { jpeg: Uint8Array; etag: string }

/** A still is at most this much older than the newest frame, however many ask for one. */
const KEEP_MS = 500
/** Encoders of stills at once, of all streams: each is a process, and live output goes first. */
const MAX_ENCODERS = 2

let encoders = 0

/** The newest output frame as a JPEG: one encode for all who ask within half a second. */
export class StillCache {
  readonly #ffmpeg: Ffmpeg
  readonly #context: Context
  #made: { at: number; pts: number; still: Promise<Still> } | undefined

  constructor(ffmpeg: Ffmpeg, context: Context) {
    this.#ffmpeg = ffmpeg
    this.#context = context
  }

  /** Fails with `capacity` when too many are being encoded, and as the encoder does. */
  get(frame: VideoFrame): Promise<Still> {
    const now = nowMs()
    if (this.#made && (this.#made.pts === frame.pts || now - this.#made.at < KEEP_MS)) return this.#made.still
    if (encoders >= MAX_ENCODERS)
      throw new AppError('capacity', `${MAX_ENCODERS} still images are being encoded already`, { retryable: true })
    const still = this.#encode(frame)
    const made = { at: now, pts: frame.pts, still }
    this.#made = made
    // What failed is tried anew.
    still.catch(() => {
      if (this.#made === made) this.#made = undefined
    })
    return still
  }

  async #encode(frame: VideoFrame): Promise<Still> {
    encoders++
    try {
      // A copy: its memory is used again for a later frame.
      const jpeg = await encodeJpeg(this.#ffmpeg, { ...frame, data: frame.data.slice() }, this.#context)
      return { jpeg, etag: `"${createHash('sha256').update(jpeg).digest('base64url').slice(0, 22)}"` }
    } finally {
      encoders--
    }
  }
}
