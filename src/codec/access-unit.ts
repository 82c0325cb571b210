// ITU-T H.264 §7.4.1.2.3 and H.265 §7.4.2.4.4: where one access unit ends and the next begins.
import { isAnnexB, joinNalUnits, nalSpans } from './annexb.ts'
import { readOr } from './bit-reader.ts'

/** What a NAL unit does in its access unit. */
export type NalRole =
  /** Parameter set; comes before the picture. */
  | 'parameters'
  /** Access unit delimiter; always the first. */
  | 'delimiter'
  /** Comes before the picture, as supplemental information does. */
  | 'prefix'
  /** A slice that begins a picture. */
  | 'picture'
  /** A further slice, or what follows one. */
  | 'rest'

/** What differs between H.264 and HEVC. NAL units are given with their header, without start code. */
export interface VideoSyntax {
  readonly codec: 'h264' | 'hevc'
  role(nal: Uint8Array): NalRole
  /** True when decoding can begin at the access unit made of these. */
  isKeyframe(nals: readonly Uint8Array[]): boolean
  /** The kind and number of a parameter set. */
  parameterSet(nal: Uint8Array): { kind: 'vps' | 'sps' | 'pps'; id: number }
  /** Kinds of parameter sets a keyframe needs, in their order. */
  readonly parameterKinds: readonly ('vps' | 'sps' | 'pps')[]
  /** Size in pixels and scan, from an SPS. Fails with `unsupported-media`. */
  parseSps(nal: Uint8Array): { width: number; height: number; progressive: boolean }
  /** An access unit delimiter that allows any picture. */
  readonly delimiter: Uint8Array
}

export type AccessUnit = {
  /** Byte stream, from its first start code. */
  data: Uint8Array
  /** Views without start codes. */
  nals: Uint8Array[]
  /** False when there is no slice in it. */
  hasPicture: boolean
  key: boolean
}

/**
 * Divides byte streams into access units. A picture is taken to begin at the slice that holds its first macroblock (no
 * arbitrary slice order). Once an SPS allows fields nothing is divided: two pictures may be the fields of one frame.
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

/** True when the byte stream begins with an access unit delimiter. */
export function hasDelimiter(data: Uint8Array, syntax: VideoSyntax): boolean {
  const header = data[2] === 1 ? 3 : 4
  return isAnnexB(data) && syntax.role(data.subarray(header, header + 3)) === 'delimiter'
}

/** Longer ones are not kept: real ones are a few hundred bytes at most. */
const MAX_PARAMETER_SET_BYTES = 4096
/** pic_parameter_set_id is the largest (ITU-T H.264 §7.4.2.2). */
const MAX_PARAMETER_SET_ID = 255

/** Of the parameter sets of one kind; its oldest go first. */
const MAX_KIND_BYTES = 16 * 1024
/** Bytes that may be put in before any more than twice the input: the sets of the first keyframes, which may be tiny. */
const FIRST_BYTES = 64 * 1024
const MAX_ALLOWANCE = 1024 * 1024

/**
 * Remembers parameter sets, and puts them in front of keyframes that came without. What is put in, over all units, is at
 * most 64 KiB and twice the bytes of the units; a keyframe beyond that goes on as it is.
 */
export class ParameterSets {
  readonly #syntax: VideoSyntax
  readonly #kept = new Map<string, { kind: string; nal: Uint8Array }>()
  #allowance = FIRST_BYTES

  constructor(syntax: VideoSyntax) {
    this.#syntax = syntax
  }

  note(unit: AccessUnit): void {
    for (const nal of unit.nals) {
      if (this.#syntax.role(nal) !== 'parameters' || nal.length > MAX_PARAMETER_SET_BYTES) continue
      const { kind, id } = this.#syntax.parameterSet(nal)
      if (id > MAX_PARAMETER_SET_ID) continue
      const key = `${kind} ${id}`
      const old = this.#kept.get(key)
      if (old && Buffer.compare(old.nal, nal) === 0) continue
      // Deleted first, so that the newest is the last.
      this.#kept.delete(key)
      this.#kept.set(key, { kind, nal: nal.slice() })
      this.#trim(kind)
    }
  }

  /** The unit's bytes with each kind of parameter set it lacks put in; undefined when a kind was never seen. */
  complete(unit: AccessUnit): Uint8Array | undefined {
    const sets: Uint8Array[] = []
    let added = 0
    this.#allowance = Math.min(this.#allowance + 2 * unit.data.length, MAX_ALLOWANCE)
    for (const kind of this.#syntax.parameterKinds) {
      const own = this.#inUnit(unit, kind)
      const found =
        own.length > 0 ? own : [...this.#kept.values()].filter((set) => set.kind === kind).map((set) => set.nal)
      if (found.length === 0) return undefined
      if (own.length === 0) added += found.reduce((sum, { length }) => sum + length, 0)
      sets.push(...found)
    }
    if (added === 0 || added > this.#allowance) return unit.data
    this.#allowance -= added
    const delimiters = unit.nals.filter((nal) => this.#syntax.role(nal) === 'delimiter')
    const others = unit.nals.filter((nal) => !['delimiter', 'parameters'].includes(this.#syntax.role(nal)))
    return joinNalUnits([...delimiters, ...sets, ...others])
  }

  #trim(kind: string): void {
    const ofKind = [...this.#kept].filter(([, set]) => set.kind === kind)
    let bytes = ofKind.reduce((sum, [, { nal }]) => sum + nal.length, 0)
    for (const [key, { nal }] of ofKind) {
      if (bytes <= MAX_KIND_BYTES) return
      bytes -= nal.length
      this.#kept.delete(key)
    }
  }

  /** The SPS of the unit, or else the newest one kept. */
  sps(unit: AccessUnit): Uint8Array | undefined {
    const kept = [...this.#kept.values()].filter((set) => set.kind === 'sps')
    return this.#inUnit(unit, 'sps').at(-1) ?? kept.at(-1)?.nal
  }

  #inUnit(unit: AccessUnit, kind: string): Uint8Array[] {
    return unit.nals.filter(
      (nal) => this.#syntax.role(nal) === 'parameters' && this.#syntax.parameterSet(nal).kind === kind,
    )
  }
}
