// Independent packetizers for H.265 and AV1, written from the specifications.
import { nalUnits } from '../../../../src/codec/annexb.ts'

const pieces = (data: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(data.length / size) }, (_, i) => data.subarray(i * size, (i + 1) * size))

/** RFC 7798: parameter sets aggregated (§4.4.2), units that do not fit fragmented (§4.4.3). */
export function packetizeH265(unit: Uint8Array, maxBytes = 1100): Uint8Array[] {
  const nals = nalUnits(unit)
  const isSet = (nal: Uint8Array) => nal[0]! >> 1 >= 32 && nal[0]! >> 1 <= 34
  const sets = nals.filter(isSet)
  const together = sets.flatMap((nal) => [Uint8Array.of(nal.length >> 8, nal.length & 255), nal])
  const aggregate = sets.length > 0 ? [Buffer.concat([Uint8Array.of(48 << 1, 1), ...together])] : []
  const others = nals.filter((nal) => !isSet(nal))
  return [
    ...aggregate,
    ...others.flatMap((nal) => {
      if (nal.length <= maxBytes) return [nal]
      const parts = pieces(nal.subarray(2), maxBytes - 3)
      return parts.map((part, i) => {
        const ends = (i === 0 ? 0x80 : 0) | (i === parts.length - 1 ? 0x40 : 0)
        return Buffer.concat([Uint8Array.of((nal[0]! & 0x81) | (49 << 1), nal[1]!, ends | (nal[0]! >> 1)), part])
      })
    }),
  ]
}

/** AV1 RTP specification §5: no temporal delimiters, no size fields; one OBU or fragment per packet. */
export function packetizeAv1(unit: Uint8Array, maxBytes = 1100): Uint8Array[] {
  const obus: Uint8Array[] = []
  for (let at = 0; at < unit.length; ) {
    const [header, extended] = [unit[at]!, (unit[at]! & 4) !== 0]
    let [size, shift, start] = [0, 0, at + (extended ? 2 : 1)]
    for (; ; shift += 7) {
      const byte = unit[start++]!
      size |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    const head = [header & ~2, ...(extended ? [unit[at + 1]!] : [])]
    if (header >> 3 !== 2) obus.push(Buffer.concat([Uint8Array.from(head), unit.subarray(start, start + size)]))
    at = start + size
  }
  return obus.flatMap((obu) => {
    const parts = pieces(obu, maxBytes)
    return parts.map((part, i) => {
      const ends = (i > 0 ? 0x80 : 0) | (i < parts.length - 1 ? 0x40 : 0)
      return Buffer.concat([Uint8Array.of(ends | 0x10), part])
    })
  })
}
