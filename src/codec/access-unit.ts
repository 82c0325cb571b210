// ITU-T H.264 §7.4.1.2.3 and H.265 §7.4.2.4.4: boundaries of access units.
// Bound: each byte is looked at once and units are views; inserted parameter sets are at most 64 KiB and twice the
// bytes, see `ParameterSets`.
import { isAnnexB, joinNalUnits, nalSpans } from './annexb.ts'
import { readOr } from './bit-reader.ts'

/** The role of a NAL unit in its access unit. */
export type NalRole =
  /** Parameter set; precedes the picture. */
  | 'parameters'
  /** Access unit delimiter; always the first. */
  | 'delimiter'
  /** Precedes the picture, such as SEI. */
  | 'prefix'
  /** First slice of a picture. */
  | 'picture'
  /** A further slice, or what follows one. */
  | 'rest'

/** The differences between H.264 and HEVC. NAL units are passed with their header, without start code. */
export interface VideoSyntax {
  readonly codec: 'h264' | 'hevc'
  role(nal: Uint8Array): NalRole
  /** Whether decoding can begin at the access unit with these NAL units. */
  isKeyframe(nals: readonly Uint8Array[]): boolean
  /** Kind and id of a parameter set. */
  parameterSet(nal: Uint8Array): { kind: 'vps' | 'sps' | 'pps'; id: number }
  /** Kinds of parameter sets that a keyframe needs, in order. */
  readonly parameterKinds: readonly ('vps' | 'sps' | 'pps')[]
  /** Size in pixels and scan type of an SPS. Throws `unsupported-media`. */
  parseSps(nal: Uint8Array): { width: number; height: number; progressive: boolean }
  /** An access unit delimiter that permits any picture. */
  readonly delimiter: Uint8Array
}

export type AccessUnit = {
  /** Byte stream, starting with a start code. */
  data: Uint8Array
  /** Views, without start codes. */
  nals: Uint8Array[]
  /** False if it has no slice. */
  hasPicture: boolean
  key: boolean
}

/**
 * Splits byte streams into access units. A picture begins at the slice with its first macroblock (no arbitrary slice
 * order). Once an SPS allows fields nothing is split, because two pictures may be the fields of one frame.
 */
export class AccessUnitSplitter {
  readonly #syntax: VideoSyntax
  #progressive = true

  constructor(syntax: VideoSyntax) {
    this.#syntax = syntax
  }

  split(data: Uint8Array): AccessUnit[] {
    const groups: { start: number; nals: Uint8Array[]; hasPicture: boolean }[] = []
    for (const { start, offset, end } of nalSpans(data)) {
      const nal = data.subarray(offset, end)
      const role = this.#syntax.role(nal)
      if (role === 'parameters') this.#learn(nal)
      let group = groups.at(-1)
      if (!group || (group.hasPicture && role !== 'rest' && this.#progressive)) {
        group = { start, nals: [], hasPicture: false }
        groups.push(group)
      }
      group.nals.push(nal)
      group.hasPicture ||= role === 'picture'
    }
    return groups.map(({ start, nals, hasPicture }, i) => ({
      data: data.subarray(start, groups[i + 1]?.start ?? data.length),
      nals,
      hasPicture,
      key: hasPicture && this.#syntax.isKeyframe(nals),
    }))
  }

  #learn(nal: Uint8Array): void {
    if (this.#syntax.parameterSet(nal).kind !== 'sps') return
    const sps = readOr(undefined, () => this.#syntax.parseSps(nal))
    if (sps) this.#progressive = sps.progressive
  }
}

/** Whether the byte stream begins with an access unit delimiter. */
export function hasDelimiter(data: Uint8Array, syntax: VideoSyntax): boolean {
  const header = data[2] === 1 ? 3 : 4
  return isAnnexB(data) && syntax.role(data.subarray(header, header + 3)) === 'delimiter'
}

/** Longer sets are not kept: real ones have a few hundred bytes. */
const MAX_PARAMETER_SET_BYTES = 4096
/** pic_parameter_set_id is the largest (ITU-T H.264 §7.4.2.2). */
const MAX_PARAMETER_SET_ID = 255

/** Limit for the parameter sets of one kind; the oldest go first. */
const MAX_KIND_BYTES = 16 * 1024
/**
 * Bytes that may be inserted in addition to twice the input: for the sets of the first keyframes, which may be tiny.
 */
const FIRST_BYTES = 64 * 1024
const MAX_ALLOWANCE = 1024 * 1024

type ParameterKind = ReturnType<VideoSyntax['parameterSet']>['kind']

/** The sets of one kind by id, oldest first. */
type Kept = { nals: Map<number, Uint8Array>; bytes: number; newest?: Uint8Array }

/**
 * Keeps parameter sets, and inserts them before keyframes that lack them. Inserted bytes are limited to 64 KiB and
 * twice the bytes of all units; keyframes beyond that pass unchanged. 16 KiB of each kind are kept.
 */
export class ParameterSets {
  readonly #syntax: VideoSyntax
  readonly #kept: Record<ParameterKind, Kept> = { vps: none(), sps: none(), pps: none() }
  #allowance = FIRST_BYTES

  constructor(syntax: VideoSyntax) {
    this.#syntax = syntax
  }

  note(unit: AccessUnit): void {
    for (const nal of unit.nals) {
      if (this.#syntax.role(nal) !== 'parameters' || nal.length > MAX_PARAMETER_SET_BYTES) continue
      const { kind, id } = this.#syntax.parameterSet(nal)
      if (id <= MAX_PARAMETER_SET_ID) keep(this.#kept[kind], id, nal)
    }
  }

  /** The unit with the kinds of parameter sets that it lacks inserted; undefined if a kind was never seen. */
  complete(unit: AccessUnit): Uint8Array | undefined {
    this.#allowance = Math.min(this.#allowance + 2 * unit.data.length, MAX_ALLOWANCE)
    const own = this.#syntax.parameterKinds.map((kind) => ({ kind, nals: this.#inUnit(unit, kind) }))
    const lacking = own.filter(({ nals }) => nals.length === 0)
    if (lacking.some(({ kind }) => this.#kept[kind].nals.size === 0)) return undefined
    const added = lacking.reduce((sum, { kind }) => sum + this.#kept[kind].bytes, 0)
    if (added === 0 || added > this.#allowance) return unit.data
    this.#allowance -= added
    const sets = own.flatMap(({ kind, nals }) => (nals.length > 0 ? nals : [...this.#kept[kind].nals.values()]))
    const delimiters = unit.nals.filter((nal) => this.#syntax.role(nal) === 'delimiter')
    const others = unit.nals.filter((nal) => !['delimiter', 'parameters'].includes(this.#syntax.role(nal)))
    return joinNalUnits([...delimiters, ...sets, ...others])
  }

  /** The SPS of the unit, or else the newest one kept. */
  sps(unit: AccessUnit): Uint8Array | undefined {
    return this.#inUnit(unit, 'sps').at(-1) ?? this.#kept.sps.newest
  }

  #inUnit(unit: AccessUnit, kind: ParameterKind): Uint8Array[] {
    return unit.nals.filter(
      (nal) => this.#syntax.role(nal) === 'parameters' && this.#syntax.parameterSet(nal).kind === kind,
    )
  }
}

function none(): Kept {
  return { nals: new Map(), bytes: 0 }
}

function keep(kept: Kept, id: number, nal: Uint8Array): void {
  const old = kept.nals.get(id)
  if (old && Buffer.compare(old, nal) === 0) return
  // Deleted first, so that the newest entry is the last.
  if (old) forget(kept, id, old)
  kept.newest = nal.slice()
  kept.nals.set(id, kept.newest)
  kept.bytes += nal.length
  for (const [oldest, { length }] of kept.nals) {
    if (kept.bytes <= MAX_KIND_BYTES) return
    forget(kept, oldest, { length })
  }
}

function forget(kept: Kept, id: number, { length }: { length: number }): void {
  kept.nals.delete(id)
  kept.bytes -= length
}
