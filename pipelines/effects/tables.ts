import { planes, type VideoFrame } from 'millrace/pipeline'

/** Effects on single bytes: a table of 256 entries for each plane. */

export function grayscale(frame: VideoFrame, strength: number): Uint8Array {
  const chroma = table((value) => blend(value, 128, strength))
  return mapPlanes(frame, undefined, chroma, chroma)
}

/** Limited range: luma 16 to 235, chroma around 128. */
export function invert(frame: VideoFrame, strength: number): Uint8Array {
  const chroma = table((value) => blend(value, 256 - value, strength))
  const luma = table((value) => blend(value, 251 - value, strength))
  return mapPlanes(frame, luma, chroma, chroma)
}

export function tint(frame: VideoFrame, colour: { u: number; v: number }, strength: number): Uint8Array {
  const toU = table((value) => blend(value, colour.u, strength))
  const toV = table((value) => blend(value, colour.v, strength))
  return mapPlanes(frame, undefined, toU, toV)
}

export function blend(from: number, to: number, share: number): number {
  return from + (to - from) * share
}

function table(map: (value: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, value) => Math.min(255, Math.max(0, Math.round(map(value)))))
}

function mapPlanes(frame: VideoFrame, luma: Uint8Array | undefined, toU: Uint8Array, toV: Uint8Array): Uint8Array {
  const data = new Uint8Array(frame.data)
  const { y, u, v } = planes({ ...frame, data })
  if (luma) mapBytes(y, luma)
  mapBytes(u, toU)
  mapBytes(v, toV)
  return data
}

function mapBytes(bytes: Uint8Array, values: Uint8Array): void {
  for (let at = 0; at < bytes.length; at++) bytes[at] = values[bytes[at]!]!
}
