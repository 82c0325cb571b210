// ITU-T H.264 Annex B and ITU-T H.265 Annex B: the byte stream format; H.264 §7.4.1: emulation prevention.
// Bound: each byte is looked at once; at most 16,384 views come out, and copies of at most the input and four bytes for
// each unit.

/** Position of a NAL unit in a byte stream. */
export type NalSpan = {
  /** Offset of its start code, including a leading zero_byte. */
  start: number
  /** Offset of its header. */
  offset: number
  /** Offset after its last byte, without trailing zeros. */
  end: number
}

const CODE = Buffer.of(0, 0, 1)

/** Whether the bytes begin with a start code, and so are a byte stream and not length-prefixed. */
export function isAnnexB(data: Uint8Array): boolean {
  return data[0] === 0 && data[1] === 0 && (data[2] === 1 || (data[2] === 0 && data[3] === 1))
}

/** Further units are not separated: level 6.2 allows a few hundred slices per picture. */
const MAX_NAL_UNITS = 16_384

/**
 * The NAL units of a byte stream in order, without bytes before the first start code and without empty units. After
 * 16,384 units the rest counts as one.
 */
export function nalSpans(data: Uint8Array): NalSpan[] {
  const spans: NalSpan[] = []
  // Buffer's search is native: a loop here would cost more than everything else done with a picture's bytes.
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length)
  let code = bytes.indexOf(CODE)
  while (code >= 0) {
    const next = spans.length < MAX_NAL_UNITS - 1 ? bytes.indexOf(CODE, code + 3) : -1
    const offset = code + 3
    let end = next < 0 ? data.length : next
    while (end > offset && data[end - 1] === 0) end--
    if (end > offset) spans.push({ start: code > 0 && data[code - 1] === 0 ? code - 1 : code, offset, end })
    code = next
  }
  return spans
}

/** The NAL units of a byte stream as views without start codes. */
export function nalUnits(data: Uint8Array): Uint8Array[] {
  return nalSpans(data).map((span) => data.subarray(span.offset, span.end))
}

const START_CODE = Uint8Array.of(0, 0, 0, 1)

/** Joins NAL units to one byte stream, each after a four-byte start code. */
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

/** Removes the emulation prevention bytes from a NAL unit (`00 00 03` -> `00 00`). */
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
