// RTP payload format for AV1: https://aomediacodec.github.io/av1-rtp-spec/ §4.4 (aggregation header) and §4.5.
// Bound: each byte is copied at most twice. Units get their sizes: at most twice the bytes come out, and two for the
// delimiter.
import { AppError } from '../../core/errors.ts'
import { OBU, readLeb128, readObu, withSize } from '../av1/obu.ts'
import { plainBytes } from '../bytes.ts'

/** Begins each temporal unit; not sent over RTP (§5). */
const TEMPORAL_DELIMITER = Uint8Array.of((OBU.temporalDelimiter << 3) | 2, 0)
/** Limit per frame, because a unit costs memory in addition to its bytes. */
const MAX_UNITS = 16_384
const NOT_PASSED: readonly number[] = [OBU.temporalDelimiter, OBU.tileList, OBU.padding]

/** Reassembles the payloads of one temporal unit. Of spatial layers the lowest is taken. */
export class Av1Assembler {
  /** Units, each as the list of its fragments. */
  #obus: Uint8Array[][] = []
  /** The last unit continues in the next payload. */
  #goesOn = false

  /** Throws `invalid-request` if the payload cannot follow the previous one; the temporal unit is then lost. */
  push(payload: Uint8Array): void {
    const header = payload[0] ?? 0
    const [continues, goesOn] = [(header & 0x80) !== 0, (header & 0x40) !== 0]
    if (payload.length < 2) throw malformed('is shorter than two bytes')
    if (continues !== this.#goesOn) throw malformed(continues ? 'continues no unit' : 'begins a unit inside another')
    for (const [i, element] of elementsOf(payload, (header >> 4) & 3).entries()) {
      if (this.#obus.length >= MAX_UNITS) throw malformed(`has a frame of over ${MAX_UNITS} units`)
      if (i === 0 && continues) this.#obus.at(-1)!.push(element)
      else this.#obus.push([element])
    }
    this.#goesOn = goesOn
  }

  /** Returns the temporal unit and starts anew; undefined if nothing, or only part of a unit, came. */
  take(): Uint8Array | undefined {
    const [obus, whole] = [this.#obus, this.#obus.length > 0 && !this.#goesOn]
    this.reset()
    if (!whole) return
    try {
      const units = obus.map((parts) => readObu(parts.length === 1 ? parts[0]! : Buffer.concat(parts)))
      const passed = units.filter(({ type, spatialId }) => spatialId === 0 && !NOT_PASSED.includes(type))
      return plainBytes(Buffer.concat([TEMPORAL_DELIMITER, ...passed.flatMap(withSize)]))
    } catch {
      return
    }
  }

  reset(): void {
    this.#obus = []
    this.#goesOn = false
  }
}

/** `count`: number of elements, the last without its length; 0: all have a length. */
function elementsOf(payload: Uint8Array, count: number): Uint8Array[] {
  const elements: Uint8Array[] = []
  for (let at = 1; at < payload.length; ) {
    const isLast = count > 0 && elements.length === count - 1
    const { value, next } = isLast ? { value: payload.length - at, next: at } : readLeb128(payload, at)
    if (value === 0 || next + value > payload.length) throw malformed('has a unit longer than itself')
    elements.push(payload.subarray(next, next + value))
    at = next + value
  }
  if (count > 0 && elements.length !== count) throw malformed('has fewer units than it says')
  return elements
}

const malformed = (what: string) => new AppError('invalid-request', `this AV1 RTP payload ${what}`)
