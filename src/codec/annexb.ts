// ITU-T H.264 Annex B and ITU-T H.265 Annex B: the byte stream format; H.264 §7.4.1: emulation prevention.

/** Where a NAL unit lies in a byte stream. */
export type NalSpan = {
  /** Offset of its start code, leading zero_byte included. */
  start: number
  /** Offset of its header. */
  offset: number
  /** Offset after its last byte, trailing zeros left out. */
  end: number
}

/** Offset of the next `00 00 01` at or after `from`, or -1. */
function startCode(data: Uint8Array, from: number): number {
  const last = data.length - 3
  for (let i = from; i <= last; ) {
    const third = data[i + 2] as number
    if (third > 1) i += 3
    else if (data[i] === 0 && data[i + 1] === 0 && third === 1) return i
    else i++
  }
  return -1
}

/** True when the bytes begin with a start code, so that they are a byte stream and not length-prefixed. */
export function isAnnexB(data: Uint8Array): boolean {
  return data[0] === 0 && data[1] === 0 && (data[2] === 1 || (data[2] === 0 && data[3] === 1))
}

/** More are not told apart: level 6.2 allows some hundred slices in a picture. */
const MAX_NAL_UNITS = 16_384

/**
 * The NAL units of a byte stream, in order. Bytes before the first start code and empty units are left out. After
 * 16,384 of them the rest is taken for one.
 */
export function nalSpans(data: Uint8Array): NalSpan[] {
  const spans: NalSpan[] = []
  let code = startCode(data, 0)
  while (code >= 0) {
    const next = spans.length < MAX_NAL_UNITS - 1 ? startCode(data, code + 3) : -1
    const offset = code + 3
    let end = next < 0 ? data.length : next
    while (end > offset && data[end - 1] === 0) end--
    if (end > offset) spans.push({ start: code > 0 && data[code - 1] === 0 ? code - 1 : code, offset, end })
    code = next
  }
  return spans
}

/** The NAL units of a byte stream without their start codes, as views. */
export function nalUnits(data: Uint8Array): Uint8Array[] {
  return nalSpans(data).map((span) => data.subarray(span.offset, span.end))
}

const START_CODE = Uint8Array.of(0, 0, 0, 1)

/** NAL units as one byte stream, each behind a four-byte start code. */
export function joinNalUnits(nals: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(nals.reduce((sum, nal) => sum + START_CODE.length + nal.length, 0))
  let at = 0
  for (const nal of nals) {
    out.set(START_CODE, at)
    out.set(nal, at + START_CODE.length)
    at += START_CODE.length + nal.length
  }
  return out
}

/** A NAL unit's payload with the emulation prevention bytes taken out (`00 00 03` -> `00 00`). */
export function unescapeNal(nal: Uint8Array): Uint8Array {
  const out = new Uint8Array(nal.length)
  let length = 0
  let zeros = 0
  for (const byte of nal) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0
      continue
    }
    zeros = byte === 0 ? zeros + 1 : 0
    out[length++] = byte
  }
  return out.subarray(0, length)
}
