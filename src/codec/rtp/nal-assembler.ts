// The common part of the RTP payload formats of H.264 (RFC 6184) and H.265 (RFC 7798).
// Bound: each byte is copied once, and each unit gets a start code: at most three times the bytes come out.
import { AppError } from '../../core/errors.ts'
import { plainBytes } from '../bytes.ts'

/** The differences between the two. */
export type NalPayloadFormat = {
  /** For messages. */
  codec: string
  /** Length of a NAL unit header, which also begins each payload. */
  headerBytes: 1 | 2
  type(payload: Uint8Array): number
  /** Payload types for several units, and for part of one. */
  aggregation: number
  fragmentation: number
  /** Types of units that are a payload by themselves. */
  isSingle(type: number): boolean
  /** Names of all accepted types, for messages. */
  accepted: string
  /** The unit's own header, from those of the payload and the fragment. */
  fragmentedHeader(payload: Uint8Array): Uint8Array
}

const START_CODE = Uint8Array.of(0, 0, 0, 1)
/** Limit per frame, by aggregation, because a unit costs memory in addition to its bytes. */
const MAX_UNITS = 16_384
const BYTES = ['no', 'one', 'two', 'three']

/** Reassembles the payloads of one access unit, in order and without a gap, as Annex B. */
export class NalAssembler {
  readonly #format: NalPayloadFormat
  #parts: Uint8Array[] = []
  #inFragment = false

  constructor(format: NalPayloadFormat) {
    this.#format = format
  }

  /** Throws `invalid-request` if the payload cannot follow the previous one; the access unit is then lost. */
  push(payload: Uint8Array): void {
    const { headerBytes, aggregation, fragmentation, isSingle, accepted } = this.#format
    if (payload.length <= headerBytes) throw this.#malformed(`is shorter than ${BYTES[headerBytes + 1]} bytes`)
    const type = this.#format.type(payload)
    if (type === fragmentation) this.#pushFragment(payload)
    else if (this.#inFragment) throw this.#malformed('interrupts a fragmented unit')
    else if (type === aggregation) this.#pushAggregate(payload)
    else if (isSingle(type)) this.#parts.push(START_CODE, payload)
    else throw this.#malformed(`has type ${type}; ${accepted} are accepted`)
  }

  /** Returns the access unit and starts anew; undefined if nothing, or only part of a unit, came. */
  take(): Uint8Array | undefined {
    const whole = this.#parts.length > 0 && !this.#inFragment
    const unit = whole ? plainBytes(Buffer.concat(this.#parts)) : undefined
    this.reset()
    return unit
  }

  reset(): void {
    this.#parts = []
    this.#inFragment = false
  }

  #pushFragment(payload: Uint8Array): void {
    const { headerBytes, fragmentedHeader } = this.#format
    const header = payload[headerBytes]!
    const first = (header & 0x80) !== 0
    if (first === this.#inFragment) throw this.#malformed(first ? 'begins a unit inside another' : 'continues no unit')
    if (first) this.#parts.push(START_CODE, fragmentedHeader(payload))
    this.#parts.push(payload.subarray(headerBytes + 1))
    this.#inFragment = (header & 0x40) === 0
  }

  #pushAggregate(payload: Uint8Array): void {
    for (let at: number = this.#format.headerBytes; at < payload.length; ) {
      const length = at + 2 <= payload.length ? (payload[at]! << 8) | payload[at + 1]! : 0
      if (length === 0 || at + 2 + length > payload.length) throw this.#malformed('has a unit longer than itself')
      if (this.#parts.length >= 2 * MAX_UNITS) throw this.#malformed(`has a frame of over ${MAX_UNITS} units`)
      this.#parts.push(START_CODE, payload.subarray(at + 2, at + 2 + length))
      at += 2 + length
    }
  }

  #malformed(what: string): AppError {
    return new AppError('invalid-request', `this ${this.#format.codec} RTP payload ${what}`)
  }
}
