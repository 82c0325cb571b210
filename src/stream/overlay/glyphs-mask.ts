import { ASCENT, DESCENT, EM, type Glyph, glyph, kerning, PEN, X_HEIGHT } from './glyphs.ts'

/** One line of text as coverage masks. */
export type TextMask = {
  /** Size of both masks in pixels. */
  width: number
  height: number
  /** Coverage of the letters, 0 to 255, rows packed. */
  ink: Uint8Array
  /** Coverage of the soft dark rim around the letters, 0 to 255, rows packed. */
  rim: Uint8Array
  /** Start of the text and its baseline, in pixels from the left and top of the masks. */
  left: number
  baseline: number
  /** Sum of the letters' advances, in pixels. */
  advance: number
}

/** Width of the rim as a share of the text size. */
const RIM = 0.16
/** Thinner strokes break up between pixels. */
const MIN_PEN_PX = 1.3
/** A dot needs more than the pen's width to look as heavy as a stem. */
const DOT_SWELL = 1.2

/** Width of one line in pixels: `size` is the em, `tracking` the extra space between letters, both in pixels. */
export function textWidth(text: string, size: number, tracking = 0): number {
  return place(text, size / EM, tracking).advance
}

/** Draws lines of text as masks and caches the last few, because many frames show the same text. */
export class TextMasks {
  readonly #kept = new Map<string, TextMask>()
  readonly #limit: number

  /** `limit`: number of cached masks; the least recently used goes first. */
  constructor(limit = 8) {
    this.#limit = limit
  }

  /** The mask of one line; `size` and `tracking` in pixels. */
  get(text: string, size: number, tracking = 0): TextMask {
    const key = `${size} ${tracking} ${text}`
    const mask = this.#kept.get(key) ?? drawText(text, size, tracking)
    this.#kept.delete(key)
    this.#kept.set(key, mask)
    if (this.#kept.size > this.#limit) {
      const [oldest] = this.#kept.keys()
      if (oldest !== undefined) this.#kept.delete(oldest)
    }
    return mask
  }
}

function place(text: string, unit: number, tracking: number) {
  const letters: { glyph: Glyph; x: number }[] = []
  let advance = 0
  let before = ''
  for (const character of text) {
    if (before !== '') advance += kerning(before, character) * unit + tracking
    const shape = glyph(character)
    letters.push({ glyph: shape, x: advance })
    advance += shape.advance * unit
    before = character
  }
  return { letters, advance }
}

function drawText(text: string, size: number, tracking: number): TextMask {
  const unit = size / EM
  const pen = Math.max(MIN_PEN_PX, PEN * unit)
  // Lower-case letters get a height of whole pixels, so that all bowls and bars of a line are equally sharp.
  const unitY = (Math.round(X_HEIGHT * unit + pen) - pen) / X_HEIGHT
  const rim = Math.max(2, size * RIM)
  const { letters, advance } = place(text, unit, tracking)
  const left = Math.ceil(rim)
  const above = Math.ceil(ASCENT * unitY + rim)
  const field = new DistanceField(
    left + Math.ceil(advance + rim),
    above + Math.ceil(DESCENT * unitY + rim),
    pen / 2 + rim + 1,
  )
  // The lower edge of the pen, not its centre, lies on the pixel grid.
  const baseline = above - pen / 2
  for (const { glyph, x } of letters)
    for (const stroke of glyph.strokes) {
      const radius = stroke.length === 2 ? (pen / 2) * DOT_SWELL : pen / 2
      for (let at = 0; at < Math.max(1, stroke.length - 2); at += 2) {
        const to = Math.min(at + 2, stroke.length - 2)
        field.line(
          left + x + stroke[at]! * unit,
          baseline - stroke[at + 1]! * unitY,
          left + x + stroke[to]! * unit,
          baseline - stroke[to + 1]! * unitY,
          radius,
        )
      }
    }
  return { ...field.planes(rim), left, baseline: above, advance }
}

/** Distance of each pixel's centre to the nearest stroke edge in pixels, negative inside. */
class DistanceField {
  readonly #width: number
  readonly #height: number
  readonly #reach: number
  readonly #distance: Float32Array

  constructor(width: number, height: number, reach: number) {
    this.#width = width
    this.#height = height
    this.#reach = reach
    this.#distance = new Float32Array(width * height).fill(reach)
  }

  line(ax: number, ay: number, bx: number, by: number, radius: number): void {
    const reach = this.#reach
    const fromX = Math.max(0, Math.floor(Math.min(ax, bx) - reach))
    const toX = Math.min(this.#width - 1, Math.ceil(Math.max(ax, bx) + reach))
    const fromY = Math.max(0, Math.floor(Math.min(ay, by) - reach))
    const toY = Math.min(this.#height - 1, Math.ceil(Math.max(ay, by) + reach))
    const dx = bx - ax
    const dy = by - ay
    const perLength = 1 / Math.max(dx * dx + dy * dy, 1e-9)
    for (let y = fromY; y <= toY; y++)
      for (let x = fromX; x <= toX; x++) {
        const px = x + 0.5 - ax
        const py = y + 0.5 - ay
        const along = Math.min(1, Math.max(0, (px * dx + py * dy) * perLength))
        const ox = px - dx * along
        const oy = py - dy * along
        const distance = Math.sqrt(ox * ox + oy * oy) - radius
        const at = y * this.#width + x
        if (distance < this.#distance[at]!) this.#distance[at] = distance
      }
  }

  planes(rim: number): { width: number; height: number; ink: Uint8Array; rim: Uint8Array } {
    const ink = new Uint8Array(this.#distance.length)
    const shade = new Uint8Array(this.#distance.length)
    for (let at = 0; at < ink.length; at++) {
      const distance = this.#distance[at]!
      ink[at] = Math.round(255 * Math.min(1, Math.max(0, 0.5 - distance)))
      const fade = Math.min(1, Math.max(0, 1 - distance / rim))
      shade[at] = Math.round(255 * fade * fade * (3 - 2 * fade))
    }
    return { width: this.#width, height: this.#height, ink, rim: shade }
  }
}
