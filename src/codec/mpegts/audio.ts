// ISO/IEC 13818-1 §2.4.3.7: a time stamp belongs to the first audio frame that begins in its PES packet.
import { TICKS_PER_SECOND, type Unwrapper } from '../../core/clock.ts'
import type { AudioCodec, AudioTrack, EncodedPacket } from '../../core/media/packet.ts'
import type { AudioHeader, ReadAudioHeader } from '../audio/header.ts'
import { concatBytes } from '../bytes.ts'
import type { Unit } from './unit.ts'

/** Longest part of a frame that is kept for the next PES packet; an ADTS frame has 8191 bytes at most. */
const MAX_CARRY_BYTES = 16_384

/**
 * Turns the units of an audio pid into one packet for each frame. Frames without a time stamp of their own are counted
 * on from the last one by their samples.
 */
export class AudioUnits {
  /** Times that bytes which are no frame had to be passed over. */
  skipped = 0
  readonly #codec: AudioCodec
  readonly #readHeader: ReadAudioHeader
  readonly #clock: Unwrapper
  #track: AudioTrack | undefined
  #carry = new Uint8Array(0)
  /** Time of the last stamped frame, and seconds counted since. */
  #base: number | undefined
  #sinceBase = 0

  constructor(codec: AudioCodec, readHeader: ReadAudioHeader, clock: Unwrapper) {
    this.#codec = codec
    this.#readHeader = readHeader
    this.#clock = clock
  }

  /** Tells that bytes are missing here: half a frame cannot be gone on with. */
  lose(): void {
    this.#carry = new Uint8Array(0)
  }

  take(unit: Unit): EncodedPacket<AudioTrack>[] {
    const boundary = this.#carry.length
    const data = boundary > 0 ? concatBytes(this.#carry, unit.data) : unit.data
    let stamp = unit.pts === undefined ? undefined : this.#clock.unwrap(unit.pts)
    this.#carry = new Uint8Array(0)
    const packets: EncodedPacket<AudioTrack>[] = []
    let lost = false
    for (let at = 0; at < data.length; ) {
      const header = this.#headerAt(data, at, lost)
      if (header === 'bad') {
        lost = true
        at++
        continue
      }
      if (header === 'short' || at + header.skip + header.length > data.length) {
        if (data.length - at <= MAX_CARRY_BYTES) this.#carry = data.slice(at)
        else lost = true
        break
      }
      if (stamp !== undefined && at >= boundary) {
        this.#base = stamp
        this.#sinceBase = 0
        stamp = undefined
      }
      const start = at + header.skip
      at = start + header.length
      if (this.#base === undefined) continue
      const pts = this.#base + Math.round(this.#sinceBase * TICKS_PER_SECOND)
      packets.push({ track: this.#trackFor(header), data: data.subarray(start, at), pts, key: true })
      this.#sinceBase += header.samples / header.sampleRate
    }
    if (lost) this.skipped++
    return packets
  }

  /** After bytes that are no frame, a header counts only when another one, or the end, follows its frame. */
  #headerAt(data: Uint8Array, at: number, lost: boolean): ReturnType<ReadAudioHeader> {
    const header = this.#readHeader(data, at)
    if (!lost || typeof header === 'string') return header
    const next = at + header.skip + header.length
    return next >= data.length || this.#readHeader(data, next) !== 'bad' ? header : 'bad'
  }

  #trackFor({ sampleRate, channels }: AudioHeader): AudioTrack {
    if (this.#track?.sampleRate !== sampleRate || this.#track.channels !== channels) {
      this.#track = { id: 'audio', kind: 'audio', codec: this.#codec, sampleRate, channels }
    }
    return this.#track
  }
}
