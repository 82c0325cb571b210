import { textWidth } from './glyphs-mask.ts'

/** A message broken into lines; `tail` says whether the tail fits after the last one. */
export type TextLayout = { lines: string[]; tail: boolean }

export type TextBox = {
  /** The em in pixels. */
  size: number
  /** In pixels. */
  maxWidth: number
  maxLines: 1 | 2
  /** Pixels to keep free after the last line for the tail, including its gap; 0 for no tail. */
  tailWidth: number
}

/** More letters fit on no frame in two lines; the rest of a longer message is not measured. */
const MOST_LETTERS = 200
/** Fewest letters worth showing of a shortened message; below that the tail is dropped first. */
const LEAST_LETTERS = 3
const LEAST_LETTERS_BESIDE_TAIL = 10

/**
 * Fits a message into a box: whole, else without its tail, else shortened with `…`; undefined if nothing readable fits.
 */
export function layoutText(text: string, box: TextBox): TextLayout | undefined {
  const message = text.trim().replace(/\s+/g, ' ').slice(0, MOST_LETTERS)
  const tails = box.tailWidth > 0 ? [true, false] : [false]
  for (const tail of tails) {
    const lines = whole(message, box, tail ? box.tailWidth : 0)
    if (lines !== undefined) return { lines, tail }
  }
  for (const tail of tails) {
    const lines = tail
      ? shortened(message, box, box.tailWidth, LEAST_LETTERS_BESIDE_TAIL)
      : shortened(message, box, 0, LEAST_LETTERS)
    if (lines !== undefined) return { lines, tail }
  }
  return undefined
}

/** The message on one line, or on two as even as possible. */
function whole(message: string, { size, maxWidth, maxLines }: TextBox, tailWidth: number): string[] | undefined {
  if (textWidth(message, size) + tailWidth <= maxWidth) return [message]
  if (maxLines === 1) return undefined
  let best: string[] | undefined
  let narrowest = maxWidth
  for (const lines of splits(message)) {
    const width = Math.max(textWidth(lines[0], size), textWidth(lines[1], size) + tailWidth)
    if (width <= narrowest) {
      best = lines
      narrowest = width
    }
  }
  return best
}

/** As many whole words as fit the first line and the start of the rest; on one line, the start of the message. */
function shortened(message: string, box: TextBox, tailWidth: number, least: number): string[] | undefined {
  const room = box.maxWidth - tailWidth
  if (box.maxLines === 2) {
    const fullest = splits(message).findLast(([first]) => textWidth(first, box.size) <= box.maxWidth)
    const last = fullest && shorten(fullest[1], box.size, room, LEAST_LETTERS)
    if (fullest && last !== undefined) return [fullest[0], last]
  }
  const line = shorten(message, box.size, room, least)
  return line === undefined ? undefined : [line]
}

/** Every way to break a message between two words. */
function splits(message: string): [string, string][] {
  const words = message.split(' ')
  return words.slice(1).map((_, at) => [words.slice(0, at + 1).join(' '), words.slice(at + 1).join(' ')])
}

function shorten(message: string, size: number, maxWidth: number, least: number): string | undefined {
  for (let length = message.length; length >= least; length--) {
    const line = length === message.length ? message : `${message.slice(0, length).replace(/[\s.,:;…(-]+$/, '')}…`
    if (textWidth(line, size) <= maxWidth) return line
  }
  return undefined
}
