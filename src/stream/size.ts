/** In pixels. */
export type Size = { width: number; height: number }

/**
 * The largest even size of the same shape with at most `maxPixels`; undefined when `size` is within it already.
 */
export function fitWithin(size: Size, maxPixels: number): Size | undefined {
  const pixels = size.width * size.height
  if (pixels <= maxPixels) return undefined
  const scale = Math.sqrt(maxPixels / pixels)
  const even = (n: number) => Math.max(2, Math.floor((n * scale) / 2) * 2)
  return { width: even(size.width), height: even(size.height) }
}
