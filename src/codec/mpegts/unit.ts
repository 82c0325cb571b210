// ISO/IEC 13818-1 §2.4.3.7: how PES packets carry access units.
import { concatBytes } from '../bytes.ts'
import { MAX_PES_HEADER_BYTES, type PesHeader, parsePesHeader } from './pes.ts'

/** The bytes of one PES packet, or of several that continue one picture. */
export type Unit = {
  data: Uint8Array
  /** As coded, 33 bits; absent when the stream gave none. */
  pts?: number
  /** As coded, 33 bits. */
  dts?: number
}

/** Signs from which the end of a unit can be seen before the next one begins. */
type Sign = 'length' | 'stuffing'

/** So many units must have ended as a sign said before it is believed. */
const TRUST_AFTER = 3
/** A PES packet nearly as long as its length can tell may be continued in another one. */
const FULL_PES_BYTES = 64_000

/**
 * Puts the units of one pid together. A unit is given out as soon as its end is certain: when its PES length is reached,
 * or when its last transport packet is stuffed. Neither is a proof for a picture, which a multiplexer may continue in a
 * further PES packet, and stuff where it likes; so a sign is believed once it was right a few times running, and never
 * again after it was wrong. Until then, and for a picture that fills its last packet exactly, the next start is waited for.
 */
export class UnitAssembler {
  /** Units thrown away: begun and not ended, too long, or given out too early. */
  dropped = 0
  readonly #continues: boolean
  readonly #maxBytes: number
  readonly #trust: Record<Sign, number> = { length: 0, stuffing: 0 }
  #buffer = new Uint8Array(4096)
  #length = 0
  #times: Pick<Unit, 'pts' | 'dts'> = {}
  /** 'idle': wait for a start; 'open': bytes belong to a unit; 'given': they would belong to one that was given out. */
  #state: 'idle' | 'open' | 'given' = 'idle'
  #header: Uint8Array | undefined
  /** Payload the PES packet still lacks; undefined when its length is not told. */
  #left: number | undefined
  #sign: Sign | undefined
  #scrambled = false

  /** `continues`: a PES packet without a time stamp, or with the one before it, goes on with the same unit (video). */
  constructor(options: { continues: boolean; maxBytes: number }) {
    this.#continues = options.continues
    this.#maxBytes = options.maxBytes
    // A audio PES packet is a unit of its own: what it leaves unfinished, the splitter keeps.
    if (!options.continues) this.#trust.length = TRUST_AFTER
  }

  /** True once a PES packet said that its payload is scrambled. */
  get scrambled(): boolean {
    return this.#scrambled
  }

  /** Takes the payload of one transport packet and returns the units whose end is seen. */
  push(payload: Uint8Array, start: boolean, stuffed: boolean): Unit[] {
    const units: Unit[] = []
    if (start || this.#header) {
      const bytes = start || !this.#header ? payload : concatBytes(this.#header, payload)
      const header = parsePesHeader(bytes)
      this.#header = header === 'short' && bytes.length < MAX_PES_HEADER_BYTES ? bytes.slice() : undefined
      if (this.#header) return units
      if (typeof header === 'string') return this.#end('idle')
      units.push(...this.#begin(header))
      this.#append(bytes.subarray(header.bytes))
    } else this.#append(payload)
    if (this.#state === 'open') this.#look(stuffed)
    if (this.#state === 'open' && this.#sign && this.#trust[this.#sign] >= TRUST_AFTER)
      units.push(...this.#give('given'))
    return units
  }

  /** Tells that packets are missing here. Returns the unit before, if it was whole. */
  lose(): Unit[] {
    return this.#last(this.#isWhole())
  }

  /**
   * Returns the last unit. Where units end with stuffing, one without is taken to be cut; so it is with any whose end no
   * sign shows when `cut` says that bytes are missing.
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
    this.#scrambled ||= header.scrambled
    const { pts, dts } = header
    const same = pts === undefined || (pts === this.#times.pts && dts === this.#times.dts)
    let units: Unit[] = []
    if (this.#continues && same) {
      // Without the beginning of its unit it is of no use.
      if (this.#state !== 'idle') this.#wrong()
    } else {
      if (this.#sign) this.#trust[this.#sign]++
      units = this.#end('open')
      this.#times = { ...(pts !== undefined && { pts }), ...(dts !== undefined && { dts }) }
    }
    this.#left = header.payloadBytes
    return units
  }

  /** The unit ends where the next one begins. With a length that was not reached it has a hole. */
  #end(next: 'idle' | 'open'): Unit[] {
    if (this.#state === 'open' && (this.#left ?? 0) === 0) return this.#give(next)
    this.#abandon()
    this.#state = next
    return []
  }

  #append(payload: Uint8Array): void {
    let bytes = payload
    if (this.#left !== undefined) {
      // What follows the told length belongs to nothing.
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

  /** The unit went on after a sign of its end. */
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
