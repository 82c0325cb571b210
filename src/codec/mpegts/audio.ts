// ISO/IEC 13818-1 §2.4.3.7: a time stamp belongs to the first audio frame that begins in its PES packet.
// Bound: each byte is looked at once and frames are views; at most 16 KiB are kept from one unit to the next.
import { TICKS_PER_SECOND, type Unwrapper } from '../../core/clock.ts'
import type { AudioCodec, AudioTrack, EncodedPacket } from '../../core/media/packet.ts'
import type { AudioHeader, ReadAudioHeader } from '../audio/header.ts'
import type { Unit } from './unit.ts'

/** Longest part of a frame kept for the next PES packet; an ADTS frame has at most 8191 bytes. */
const MAX_CARRY_BYTES = 16_384

/**
 * Splits the units of an audio pid into one packet per frame. Frames without a time stamp are timed from the last one
 * by their samples. Packets are views of the units.
 */
export class AudioUnits {
  /** How often bytes outside any frame were skipped. */
  skipped = 0
  readonly #codec: AudioCodec
  readonly #readHeader: ReadAudioHeader
  readonly #clock: Unwrapper
  #track: AudioTrack | undefined
  /** The beginning of a frame, with spare room. */
  #carry = new Uint8Array(0)
  #carried = 0
  /** Time of the last stamped frame, and seconds counted since. */
  #base: number | undefined
  #sinceBase = 0

  constructor(codec: AudioCodec, readHeader: ReadAudioHeader, clock: Unwrapper) {
    this.#codec = codec
    this.#readHeader = readHeader
    this.#clock = clock
  }

  /** Call when bytes are missing: a partial frame is discarded. */
  lose(): void {
    this.#carried = 0
  }

  take(unit: Unit): EncodedPacket<AudioTrack>[] {
    const boundary = this.#carried
    const data = boundary > 0 ? this.#append(unit.data) : unit.data
    let stamp = unit.pts === undefined ? undefined : this.#clock.unwrap(unit.pts)
    this.#carried = 0
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
        if (data.length - at <= MAX_CARRY_BYTES) this.#keep(data, at)
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

  /** Appends to the kept bytes. The buffer doubles, so that each byte is moved about once. */
  #append(bytes: Uint8Array): Uint8Array {
    const length = this.#carried + bytes.length
    if (length > this.#carry.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#carried))
      grown.set(this.#carry.subarray(0, this.#carried))
      this.#carry = grown
    }
    this.#carry.set(bytes, this.#carried)
    return this.#carry.subarray(0, length)
  }

  /** Keeps the bytes from `at` on; in place, unless packets are views of what precedes them. */
  #keep(data: Uint8Array, at: number): void {
    this.#carried = data.length - at
    if (at > 0 || data.buffer !== this.#carry.buffer) this.#carry = data.slice(at)
  }

  /** After bytes outside any frame, a header counts only if another one, or the end, follows its frame. */
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
