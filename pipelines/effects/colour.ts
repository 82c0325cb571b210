/** The chroma of a colour `#rrggbb`, in BT.601 with limited range (ITU-R BT.601-7 §2.5). */
export function chromaOf(colour: string): { u: number; v: number } {
  const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)) as [number, number, number]
  return {
    u: Math.round(128 - 0.148 * r - 0.291 * g + 0.439 * b),
    v: Math.round(128 + 0.439 * r - 0.368 * g - 0.071 * b),
  }
}
