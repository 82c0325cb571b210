import { type PixelFormat, sameShape, type VideoFrame } from '../../core/media/frame.ts'
import { card, dimmed } from './background.ts'
import { CAP_HEIGHT, EM, PEN } from './glyphs.ts'
import { TextMasks, textWidth } from './glyphs-mask.ts'
import { layoutText, type TextLayout } from './layout.ts'
import { ink, paint } from './paint.ts'
import { drawSpinner, spinnerSide } from './spinner.ts'

/** What the overlay shows. */
export type OverlayRequest = {
  format: PixelFormat
  /** In pixels, 1 or more; may be odd. */
  width: number
  /** In pixels, 1 or more; may be odd. */
  height: number
  /** Presentation time of the frame to draw, in 90 kHz ticks. */
  pts: number
  /**
   * The last good output, shown dark and grey behind the text; a plain card if it is missing or has another size or
   * format.
   */
  base?: VideoFrame
  /** The message, such as `Loading pipeline…`. */
  text: string
  /** How long this has lasted, in ms; from 1 s on shown in seconds after the text. */
  elapsedMs?: number
  /** Any monotonic clock in ms; turns the spinner. */
  now: number
}

const WHITE = ink(242, 242, 242)
const BLACK = ink(0, 0, 0)
const ACCENT = ink(94, 222, 206)
/** The rim keeps text readable on busy frames; on the card it would only smear. */
const RIM_OPACITY = { frame: 0.7, card: 0.3 }
const SECONDS_OPACITY = 0.7
const RING_OPACITY = 0.16
const WORDMARK = 'millrace'
const WORDMARK_OPACITY = 0.45

/** Draws the overlay of one stream in the frame's pixel format. Caches one background and a few lines of text. */
export class Overlay {
  readonly #masks = new TextMasks()
  #background: Background | undefined
  #layout: { key: string; layout: TextLayout } | undefined

  /** Draws one frame, whose data belongs to the caller. */
  draw(request: OverlayRequest): VideoFrame {
    const { format, width, height, pts } = request
    const background = this.#backgroundFor(request)
    const frame = { data: background.data.slice(), format, width, height, pts }
    const sizes = sizesFor(width, height)
    const seconds = Math.floor((request.elapsedMs ?? 0) / 1000)
    const tail = seconds >= 1 ? `${seconds} s` : ''
    const { lines, tail: withTail } = this.#layoutFor(request, tail, sizes)
    const textHeight = lines.length === 0 ? 0 : sizes.gap + sizes.capHeight + (lines.length - 1) * sizes.lineHeight
    const top = Math.round((height - sizes.spinner - textHeight) / 2)
    this.#paintSpinner(frame, sizes, top, request.now)
    const rim = background.base === undefined ? RIM_OPACITY.card : RIM_OPACITY.frame
    for (const [at, line] of lines.entries()) {
      const follows = withTail && at === lines.length - 1
      const lineWidth = textWidth(line, sizes.text)
      const tailWidth = follows ? sizes.tailGap + textWidth(tail, sizes.text) : 0
      const x = (width - lineWidth - tailWidth) / 2
      const y = top + sizes.spinner + sizes.gap + sizes.capHeight + at * sizes.lineHeight
      this.#paintText(frame, { text: line, size: sizes.text, x, y, opacity: 1, rim })
      if (follows)
        this.#paintText(frame, {
          text: tail,
          size: sizes.text,
          x: x + lineWidth + sizes.tailGap,
          y,
          opacity: SECONDS_OPACITY,
          rim,
        })
    }
    return frame
  }

  #backgroundFor({ format, width, height, base }: OverlayRequest): Background {
    const shape = { format, width, height }
    const usable = base !== undefined && sameShape(base, shape) ? base : undefined
    const kept = this.#background
    if (kept !== undefined && kept.base === usable && sameShape(kept.shape, shape)) return kept
    const data = usable === undefined ? this.#card(shape) : dimmed(usable)
    this.#background = { data, base: usable, shape }
    return this.#background
  }

  #card({ format, width, height }: Shape): Uint8Array {
    const frame = { data: card(format, width, height), format, width, height, pts: 0 }
    const short = Math.min(width, height)
    const size = Math.max(11, Math.round(short * 0.026))
    const tracking = size * 0.12
    // Below this height the mark would crowd the text.
    if (short >= 180)
      this.#paintText(frame, {
        text: WORDMARK,
        size,
        tracking,
        x: (width - textWidth(WORDMARK, size, tracking)) / 2,
        y: height - Math.round(short * 0.06),
        opacity: WORDMARK_OPACITY,
        rim: 0,
      })
    return frame.data
  }

  #layoutFor({ text, width, height }: OverlayRequest, tail: string, sizes: Sizes): TextLayout {
    const key = `${width}x${height} ${tail.length} ${text}`
    if (this.#layout?.key !== key) {
      const room = height * 0.92 - sizes.spinner - sizes.gap - sizes.capHeight
      const box = {
        size: sizes.text,
        maxWidth: width * 0.88,
        maxLines: room < sizes.lineHeight ? (1 as const) : (2 as const),
        tailWidth: tail === '' ? 0 : sizes.tailGap + textWidth(tail, sizes.text),
      }
      const layout = room < 0 || text.trim() === '' ? undefined : layoutText(text, box)
      this.#layout = { key, layout: layout ?? { lines: [], tail: false } }
    }
    return this.#layout.layout
  }

  #paintSpinner(frame: VideoFrame, sizes: Sizes, top: number, now: number): void {
    if (sizes.spinner > Math.min(frame.width, frame.height)) return
    const { ring, arc } = drawSpinner(sizes.radius, sizes.thickness, now)
    const left = Math.round((frame.width - sizes.spinner) / 2)
    paint(frame, ring, left, top, WHITE, RING_OPACITY)
    paint(frame, arc, left, top, ACCENT)
  }

  #paintText(frame: VideoFrame, { text, size, tracking = 0, x, y, opacity, rim }: Words): void {
    const mask = this.#masks.get(text, size, tracking)
    const left = Math.round(x) - mask.left
    const top = Math.round(y) - mask.baseline
    const { width, height } = mask
    paint(frame, { alpha: mask.rim, width, height }, left, top, BLACK, rim * opacity)
    paint(frame, { alpha: mask.ink, width, height }, left, top, WHITE, opacity)
  }
}

type Shape = Pick<VideoFrame, 'format' | 'width' | 'height'>
type Background = { data: Uint8Array; base: VideoFrame | undefined; shape: Shape }
/** A line of text: start and baseline in pixels, opacity of letters and rim from 0 to 1. */
type Words = { text: string; size: number; tracking?: number; x: number; y: number; opacity: number; rim: number }
type Sizes = ReturnType<typeof sizesFor>

/** All lengths in pixels, derived from the frame's short side. */
function sizesFor(width: number, height: number) {
  const short = Math.min(width, height)
  const text = Math.max(14, Math.round(short * 0.04))
  const radius = Math.max(8, short * 0.035)
  const thickness = Math.max(3, short * 0.008)
  return {
    text,
    capHeight: ((CAP_HEIGHT + PEN) / EM) * text,
    lineHeight: Math.round(text * 1.4),
    gap: Math.round(text * 0.85),
    tailGap: Math.round(text * 0.45),
    radius,
    thickness,
    spinner: spinnerSide(radius, thickness),
  }
}
