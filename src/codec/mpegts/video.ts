// ISO/IEC 13818-1 §2.14 and §2.17: H.264 and HEVC in transport streams.
// Bound: each byte is looked at once; at most 16,384 packets a unit come out, with bytes as `ParameterSets` says.
import type { Unwrapper } from '../../core/clock.ts'
import type { EncodedPacket, VideoTrack } from '../../core/media/packet.ts'
import { type AccessUnit, AccessUnitSplitter, ParameterSets, type VideoSyntax } from '../access-unit.ts'
import { readOr } from '../bit-reader.ts'
import type { Unit } from './unit.ts'

/** Ticks between pictures until measured: 30 per second. */
const DEFAULT_FRAME_TICKS = 3000
/** Longer steps are pauses. */
const MAX_FRAME_TICKS = 90_000

/**
 * Splits the units of a video pid into packets, from the first keyframe with parameter sets on. Further pictures of one
 * unit have no time stamp: they are timed by the last measured frame interval.
 */
export class VideoUnits {
  readonly #syntax: VideoSyntax
  readonly #clock: Unwrapper
  readonly #splitter: AccessUnitSplitter
  readonly #sets: ParameterSets
  #track: VideoTrack | undefined
  /** The SPS parsed last, with its result. */
  #read: { sps: Uint8Array; size: ReturnType<VideoSyntax['parseSps']> | undefined } | undefined
  #frameTicks = DEFAULT_FRAME_TICKS
  /** Decoding time and picture count of the previous unit. */
  #before: { dts: number; pictures: number } | undefined

  constructor(syntax: VideoSyntax, clock: Unwrapper) {
    this.#syntax = syntax
    this.#clock = clock
    this.#splitter = new AccessUnitSplitter(syntax)
    this.#sets = new ParameterSets(syntax)
  }

  take(unit: Unit): EncodedPacket<VideoTrack>[] {
    if (unit.pts === undefined) return []
    const pts = this.#clock.unwrap(unit.pts)
    const dts = unit.dts === undefined ? pts : this.#clock.unwrap(unit.dts)
    const accessUnits = this.#splitter.split(unit.data)
    for (const access of accessUnits) this.#sets.note(access)
    const pictures = accessUnits.filter((access) => access.hasPicture)
    this.#measure(dts, pictures.length)
    return pictures.flatMap((access, i) => {
      const data = access.key ? this.#begin(access) : access.data
      if (!data || !this.#track) return []
      const later = i * this.#frameTicks
      return { track: this.#track, data, pts: pts + later, ...(dts !== pts && { dts: dts + later }), key: access.key }
    })
  }

  #measure(dts: number, pictures: number): void {
    if (this.#before && this.#before.pictures > 0) {
      const step = Math.round((dts - this.#before.dts) / this.#before.pictures)
      if (step > 0 && step <= MAX_FRAME_TICKS) this.#frameTicks = step
    }
    this.#before = { dts, pictures }
  }

  /** Completes the keyframe and reads its size; undefined if that is impossible. */
  #begin(access: AccessUnit): Uint8Array | undefined {
    const sps = this.#sets.sps(access)
    if (!sps) return undefined
    // The same SPS may come with every keyframe.
    if (this.#read?.sps !== sps) this.#read = { sps, size: readOr(undefined, () => this.#syntax.parseSps(sps)) }
    const { size } = this.#read
    if (!size) return undefined
    const data = this.#sets.complete(access)
    const { width, height } = size
    if (data && (this.#track?.width !== width || this.#track.height !== height)) {
      this.#track = { id: 'video', kind: 'video', codec: this.#syntax.codec, width, height }
    }
    return data
  }
}
