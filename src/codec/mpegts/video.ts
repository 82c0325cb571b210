// ISO/IEC 13818-1 §2.14 and §2.17: H.264 and HEVC in transport streams.
import type { Unwrapper } from '../../core/clock.ts'
import type { EncodedPacket, VideoTrack } from '../../core/media/packet.ts'
import { type AccessUnit, AccessUnitSplitter, ParameterSets, type VideoSyntax } from '../access-unit.ts'
import { readOr } from '../bit-reader.ts'
import type { Unit } from './unit.ts'

/** Ticks between pictures while none were measured: 30 a second. */
const DEFAULT_FRAME_TICKS = 3000
/** Longer steps are pauses, not frame times. */
const MAX_FRAME_TICKS = 90_000

/**
 * Turns the units of a video pid into packets, from the first keyframe with its parameter sets on. The second and
 * further pictures of one unit have no time stamp: they are counted on by the frame time that was measured last.
 */
export class VideoUnits {
  readonly #syntax: VideoSyntax
  readonly #clock: Unwrapper
  readonly #splitter: AccessUnitSplitter
  readonly #sets: ParameterSets
  #track: VideoTrack | undefined
  #frameTicks = DEFAULT_FRAME_TICKS
  /** Decoding time and number of pictures of the unit before. */
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

  /** Makes the keyframe complete and its size known; undefined when that cannot be. */
  #begin(access: AccessUnit): Uint8Array | undefined {
    const sps = this.#sets.sps(access)
    const size = sps && readOr(undefined, () => this.#syntax.parseSps(sps))
    if (!size) return undefined
    const data = this.#sets.complete(access)
    const { width, height } = size
    if (data && (this.#track?.width !== width || this.#track.height !== height)) {
      this.#track = { id: 'video', kind: 'video', codec: this.#syntax.codec, width, height }
    }
    return data
  }
}
