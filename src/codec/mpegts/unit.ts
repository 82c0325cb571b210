// ISO/IEC 13818-1 §2.4.3.7: how PES packets carry access units.
// Bound: each byte is copied twice at most, and no more comes out than came in; `maxBytes` are kept.
import { concatBytes } from '../bytes.ts'
import { MAX_PES_HEADER_BYTES, type PesHeader, parsePesHeader } from './pes.ts'

/** The bytes of one PES packet, or of several that continue one picture. */
export type Unit = {
  data: Uint8Array
  /** As coded, 33 bits; undefined if the stream has none. */
  pts?: number
  /** As coded, 33 bits. */
  dts?: number
}

/** Signs by which the end of a unit is recognized before the next one begins. */
type Sign = 'length' | 'stuffing'

/** A sign is trusted after it was right this often. */
const TRUST_AFTER = 3
/** A PES packet nearly as long as its length field allows may continue in another one. */
const FULL_PES_BYTES = 64_000

/**
 * Assembles the units of one pid. A unit is returned as soon as its end is certain: its PES length is reached, or its
 * last transport packet is stuffed. Neither proves the end of a picture, because a multiplexer may continue it in
 * another PES packet, and stuff anywhere; so a sign is trusted only after it was right a few times in a row, and never
 * again after it was wrong. Until then, and for a picture that exactly fills its last packet, the next start is
 * awaited.
 */
export class UnitAssembler {
  /** Units discarded: without an end, too long, or returned too early. */
  dropped = 0
  readonly #continues: boolean
  readonly #maxBytes: number
  readonly #trust: Record<Sign, number> = { length: 0, stuffing: 0 }
  #buffer = new Uint8Array(4096)
  #length = 0
  #times: Pick<Unit, 'pts' | 'dts'> = {}
  /**
   * 'idle': waiting for a start; 'open': bytes belong to a unit; 'given': they would belong to one already returned.
   */
  #state: 'idle' | 'open' | 'given' = 'idle'
  #header: Uint8Array | undefined
  /** Payload that the PES packet still lacks; undefined if its length is not stated. */
  #left: number | undefined
  #sign: Sign | undefined
  #scrambled = false

  /** `continues`: a PES packet without a time stamp, or with the previous one's, continues the same unit (video). */
  constructor(options: { continues: boolean; maxBytes: number }) {
    this.#continues = options.continues
    this.#maxBytes = options.maxBytes
    // An audio PES packet is always a unit; the splitter keeps a partial frame.
    if (!options.continues) this.#trust.length = TRUST_AFTER
  }

  /** True while the newest PES packet has scrambled payload, which is discarded. */
  get scrambled(): boolean {
    return this.#scrambled
  }

  /** Takes the payload of one transport packet and returns the units whose end is known. */
  push(payload: Uint8Array, start: boolean, stuffed: boolean): Unit[] {
    const units: Unit[] = []
    if (start || this.#header) {
      const bytes = start || !this.#header ? payload : concatBytes(this.#header, payload)
      const header = parsePesHeader(bytes)
      this.#header = header === 'short' && bytes.length < MAX_PES_HEADER_BYTES ? bytes.slice() : undefined
      if (this.#header) return units
      if (typeof header === 'string') return this.#end('idle')
      this.#scrambled = header.scrambled
      if (header.scrambled) return this.#end('idle')
      units.push(...this.#begin(header))
      this.#append(bytes.subarray(header.bytes))
    } else this.#append(payload)
    if (this.#state === 'open') this.#look(stuffed)
    if (this.#state === 'open' && this.#sign && this.#trust[this.#sign] >= TRUST_AFTER)
      units.push(...this.#give('given'))
    return units
  }

  /**
   * Takes the payloads of `count` consecutive transport packets that can only continue an open unit: `bytes` each, at
   * the end of every `step` from `offset` on. False, and nothing is taken, if `push` must handle each.
   */
  more(data: Uint8Array, offset: number, step: number, bytes: number, count: number): boolean {
    if (this.#state !== 'open' || this.#header || this.#sign) return false
    const all = count * bytes
    if (this.#left !== undefined && this.#left <= all) return false
    const span = (count - 1) * step + bytes
    if (this.#length + Math.max(span, all) > this.#buffer.length) return false
    // All at once, then compacted in place, without a view for each.
    this.#buffer.set(data.subarray(offset, offset + span), this.#length)
    let to = this.#length
    for (let i = 0, at = to; i < count; i++, at += step, to += bytes) {
      if (i > 0) this.#buffer.copyWithin(to, at, at + bytes)
    }
    this.#length = to
    if (this.#left !== undefined) this.#left -= all
    return true
  }

  /** Call when packets are missing. Returns the previous unit if it was complete. */
  lose(): Unit[] {
    return this.#last(this.#isWhole())
  }

  /**
   * Returns the last unit. If units end with stuffing, one without it counts as truncated; with `cut`, so does any unit
   * without a sign of its end.
   */
  flush(cut = false): Unit[] {
    const mayBeWhole = this.#left === undefined && this.#trust.stuffing < TRUST_AFTER && !this.#header
    return this.#last(this.#isWhole() || (mayBeWhole && !cut))
  }

  #isWhole(): boolean {
    if (this.#left !== undefined) return this.#left === 0
    return this.#sign !== undefined && this.#trust[this.#sign] >= 0
  }

  #last(whole: boolean): Unit[] {
    this.#header = undefined
    if (whole && this.#state === 'open') return this.#give('idle')
    this.#abandon()
    return []
  }

  #begin(header: PesHeader): Unit[] {
    const { pts, dts } = header
    const same = pts === undefined || (pts === this.#times.pts && dts === this.#times.dts)
    let units: Unit[] = []
    if (this.#continues && same) {
      // Useless without the beginning of its unit.
      if (this.#state !== 'idle') this.#wrong()
    } else {
      if (this.#sign) this.#trust[this.#sign]++
      units = this.#end('open')
      this.#times = { ...(pts !== undefined && { pts }), ...(dts !== undefined && { dts }) }
    }
    this.#left = header.payloadBytes
    return units
  }

  /** The unit ends where the next one begins. If its stated length was not reached, it has a gap. */
  #end(next: 'idle' | 'open'): Unit[] {
    if (this.#state === 'open' && (this.#left ?? 0) === 0) return this.#give(next)
    this.#abandon()
    this.#state = next
    return []
  }

  #append(payload: Uint8Array): void {
    let bytes = payload
    if (this.#left !== undefined) {
      // Bytes beyond the stated length belong to nothing.
      if (bytes.length > this.#left) bytes = bytes.subarray(0, this.#left)
      this.#left -= bytes.length
    }
    if (bytes.length === 0 || this.#state === 'idle') return
    if (this.#sign) this.#wrong()
    if (this.#state === 'given') return
    const length = this.#length + bytes.length
    if (length > this.#maxBytes) {
      this.#abandon()
      return
    }
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.min(this.#maxBytes, Math.max(length, this.#buffer.length * 2)))
      grown.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = grown
    }
    this.#buffer.set(bytes, this.#length)
    this.#length = length
  }

  #look(stuffed: boolean): void {
    if (this.#left !== undefined) {
      const full = this.#continues && this.#length >= FULL_PES_BYTES
      if (this.#left === 0 && !full) this.#sign = 'length'
    } else if (stuffed && this.#length > 0) this.#sign = 'stuffing'
  }

  /** The unit continued after a sign of its end. */
  #wrong(): void {
    if (!this.#sign) return
    this.#trust[this.#sign] = Number.NEGATIVE_INFINITY
    this.#sign = undefined
    if (this.#state === 'given') this.dropped++
  }

  #give(next: 'idle' | 'open' | 'given'): Unit[] {
    this.#state = next
    if (next !== 'given') this.#sign = undefined
    if (this.#length === 0) return []
    const unit = { data: this.#buffer.slice(0, this.#length), ...this.#times }
    this.#length = 0
    return [unit]
  }

  #abandon(): void {
    if (this.#state === 'open' && this.#length > 0) this.dropped++
    this.#state = 'idle'
    this.#length = 0
    this.#sign = undefined
  }
}
