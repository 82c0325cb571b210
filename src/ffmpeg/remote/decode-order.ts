import type { EncodedPacket } from '../../core/media/packet.ts'

/**
 * Assigns decoding times to frames that come in decoding order with presentation times only: rising, and in the long
 * run as far ahead of presentation as frames are reordered. RTP has no others (RFC 6184 §5.1).
 */
export class DecodeOrder {
  /** How far at most a frame's presentation precedes that of an earlier one. */
  #reorder = 0
  #highest = Number.NEGATIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY

  place(packet: EncodedPacket): EncodedPacket {
    if (packet.track.kind !== 'video') return packet
    const { dts: _, ...plain } = packet
    const { pts } = plain
    const back = this.#highest - pts
    if (Math.abs(back) > MAX_REORDER) this.#forget(pts)
    else if (back > this.#reorder) this.#reorder = back
    this.#highest = Math.max(this.#highest, pts)
    const dts = Math.max(this.#last + 1, pts - this.#reorder)
    this.#last = dts
    return dts === pts ? plain : { ...plain, dts }
  }

  /** The source's clock has jumped. */
  #forget(pts: number): void {
    this.#highest = pts
    this.#last = Number.NEGATIVE_INFINITY
  }
}

/** Two seconds: no encoder looks further ahead, and `EARLY_DECODING` gives ffmpeg as much. */
const MAX_REORDER = 180_000

/**
 * Without decoding times ffmpeg guesses them, wrongly with B-frames, and then changes presentation times too. These
 * rise, and are early enough for any order; `DecodeOrder` replaces them with better ones.
 */
export const EARLY_DECODING = ['-bsf:v', String.raw`setts=dts=if(eq(PTS\,NOPTS)\,DTS\,max(PREV_OUTDTS+1\,PTS-2/TB))`]
