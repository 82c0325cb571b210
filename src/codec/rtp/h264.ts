// RTP payload format for H.264: RFC 6184, packetization modes 0 and 1.
import { AppError } from '../../core/errors.ts'
import { nalUnits } from '../annexb.ts'
import { plainBytes } from '../bytes.ts'

const STAP_A = 24
const FU_A = 28
const START_CODE = Uint8Array.of(0, 0, 0, 1)

/**
 * Cuts one Annex B access unit into RTP payloads of at most `maxBytes`; the last one is to carry the marker bit.
 * Small units that stand together (parameter sets, SEI) go into one STAP-A (§5.7.1), large ones into FU-A (§5.8).
 */
export function packetizeH264(accessUnit: Uint8Array, maxBytes: number): Uint8Array[] {
  const payloads: Uint8Array[] = []
  let small: Uint8Array[] = []
  let smallBytes = 1
  const flush = () => {
    if (small.length === 1) payloads.push(small[0]!)
    else if (small.length > 1) payloads.push(stapA(small, smallBytes))
    small = []
    smallBytes = 1
  }
  for (const nal of nalUnits(accessUnit)) {
    if (smallBytes + 2 + nal.length > maxBytes) flush()
    if (nal.length + 3 <= maxBytes) {
      small.push(nal)
      smallBytes += 2 + nal.length
    } else if (nal.length <= maxBytes) payloads.push(nal)
    else payloads.push(...fuA(nal, maxBytes))
  }
  flush()
  return payloads
}

function stapA(nals: readonly Uint8Array[], bytes: number): Uint8Array {
  const payload = Buffer.allocUnsafe(bytes)
  // The header carries the highest importance of what is inside (§5.7).
  payload[0] = STAP_A | Math.max(...nals.map((nal) => nal[0]! & 0x60))
  let at = 1
  for (const nal of nals) {
    payload.writeUInt16BE(nal.length, at)
    payload.set(nal, at + 2)
    at += 2 + nal.length
  }
  return payload
}

function* fuA(nal: Uint8Array, maxBytes: number): Generator<Uint8Array> {
  const body = nal.length - 1
  const count = Math.ceil(body / (maxBytes - 2))
  const size = Math.ceil(body / count)
  for (let at = 1; at < nal.length; at += size) {
    const end = Math.min(nal.length, at + size)
    const payload = Buffer.allocUnsafe(2 + end - at)
    payload[0] = (nal[0]! & 0xe0) | FU_A
    payload[1] = (at === 1 ? 0x80 : 0) | (end === nal.length ? 0x40 : 0) | (nal[0]! & 0x1f)
    payload.set(nal.subarray(at, end), 2)
    yield payload
  }
}

/** Puts the payloads of one access unit, in order and without a gap, back into Annex B. */
export class H264Assembler {
  #parts: Uint8Array[] = []
  #inFragment = false

  /** Throws `invalid-request` when the payload cannot follow what came before; the access unit is then lost. */
  push(payload: Uint8Array): void {
    if (payload.length < 2) throw malformed('is shorter than two bytes')
    const type = payload[0]! & 0x1f
    if (type === FU_A) this.#pushFragment(payload)
    else if (this.#inFragment) throw malformed('interrupts a fragmented unit')
    else if (type === STAP_A) this.#pushAggregate(payload)
    else if (type >= 1 && type <= 23) this.#parts.push(START_CODE, payload)
    else throw malformed(`has type ${type}; single units, STAP-A and FU-A are accepted`)
  }

  /** The access unit so far, which begins anew; undefined when nothing, or only part of a unit, came. */
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
    const header = payload[1]!
    const first = (header & 0x80) !== 0
    if (first === this.#inFragment) throw malformed(first ? 'begins a unit inside another' : 'continues no unit')
    if (first) this.#parts.push(START_CODE, Uint8Array.of((payload[0]! & 0xe0) | (header & 0x1f)))
    this.#parts.push(payload.subarray(2))
    this.#inFragment = (header & 0x40) === 0
  }

  #pushAggregate(payload: Uint8Array): void {
    for (let at = 1; at < payload.length; ) {
      const length = at + 2 <= payload.length ? (payload[at]! << 8) | payload[at + 1]! : 0
      if (length === 0 || at + 2 + length > payload.length) throw malformed('has a unit longer than itself')
      this.#parts.push(START_CODE, payload.subarray(at + 2, at + 2 + length))
      at += 2 + length
    }
  }
}

const malformed = (what: string) => new AppError('invalid-request', `this H.264 RTP payload ${what}`)
