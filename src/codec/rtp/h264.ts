// RTP payload format for H.264: RFC 6184, packetization modes 0 and 1.
// Bound: that of `NalAssembler`.
import { nalUnits } from '../annexb.ts'
import { NalAssembler } from './nal-assembler.ts'

const STAP_A = 24
const FU_A = 28

/**
 * Splits one Annex B access unit into RTP payloads of at most `maxBytes`; the last one must get the marker bit.
 * Consecutive small units (parameter sets, SEI) go into one STAP-A (§5.7.1), large ones into FU-A (§5.8).
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
  // The header has the highest importance of its units (§5.7).
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

/** Reassembles the payloads of one access unit, within the bounds of `NalAssembler`. */
export class H264Assembler extends NalAssembler {
  constructor() {
    super({
      codec: 'H.264',
      headerBytes: 1,
      type: (payload) => payload[0]! & 0x1f,
      aggregation: STAP_A,
      fragmentation: FU_A,
      isSingle: (type) => type >= 1 && type <= 23,
      accepted: 'single units, STAP-A and FU-A',
      fragmentedHeader: (payload) => Uint8Array.of((payload[0]! & 0xe0) | (payload[1]! & 0x1f)),
    })
  }
}
