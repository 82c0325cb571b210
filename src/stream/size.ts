/** In pixels. */
export type Size = { width: number; height: number }

/** The largest even size of the same aspect ratio with at most `maxPixels`; undefined if `size` is within the limit. */
export function fitWithin(size: Size, maxPixels: number): Size | undefined {
  const pixels = size.width * size.height
  if (pixels <= maxPixels) return undefined
  const scale = Math.sqrt(maxPixels / pixels)
  const even = (n: number) => Math.max(2, Math.floor((n * scale) / 2) * 2)
  return { width: even(size.width), height: even(size.height) }
}

const MIN_ENCODED_SIDE = 16

/** The nearest size that every encoder accepts, with even sides of at least 16 pixels; undefined if `size` is one. */
export function encodable(size: Size): Size | undefined {
  const side = (n: number) => Math.max(MIN_ENCODED_SIDE, n - (n % 2))
  const [width, height] = [side(size.width), side(size.height)]
  return width === size.width && height === size.height ? undefined : { width, height }
}
