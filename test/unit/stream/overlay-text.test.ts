import { describe, expect, test } from 'vitest'
import { ASCENT, DESCENT, EM, glyph, kerning } from '../../../src/stream/overlay/glyphs.ts'
import { TextMasks, textWidth } from '../../../src/stream/overlay/glyphs-mask.ts'
import { layoutText } from '../../../src/stream/overlay/layout.ts'

const PRINTABLE = `${Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at)).join('')}…`

describe('glyphs', () => {
  test('every printable character has its own shape inside the grid', () => {
    const shapes = new Set<string>()
    for (const character of PRINTABLE) {
      const { advance, strokes } = glyph(character)
      expect(advance).toBeGreaterThan(3)
      for (const stroke of strokes)
        for (const [at, value] of stroke.entries()) {
          expect(Number.isFinite(value)).toBe(true)
          if (at % 2 === 0) expect(value).toBeGreaterThanOrEqual(1)
          if (at % 2 === 0) expect(value).toBeLessThanOrEqual(advance - 1)
          if (at % 2 === 1) expect(value).toBeLessThanOrEqual(ASCENT - 1)
          if (at % 2 === 1) expect(value).toBeGreaterThanOrEqual(-DESCENT + 1)
        }
      shapes.add(strokes.map((stroke) => stroke.join()).join(';'))
    }
    expect(shapes.size).toBe(PRINTABLE.length)
  })

  test('digits share one width, so a counter does not move', () => {
    expect(new Set([...'0123456789'].map((figure) => glyph(figure).advance)).size).toBe(1)
  })

  test('an accent is dropped, an unknown character becomes a question mark, any white space a space', () => {
    expect(glyph('é')).toBe(glyph('e'))
    expect(glyph('’')).toBe(glyph("'"))
    expect(glyph('字')).toBe(glyph('?'))
    expect(glyph('\n')).toBe(glyph(' '))
    expect(glyph(' ').strokes).toEqual([])
  })

  test('kerning only closes gaps', () => {
    for (const left of PRINTABLE) for (const right of PRINTABLE) expect(kerning(left, right)).toBeLessThanOrEqual(0)
    expect(kerning('T', 'o')).toBeLessThan(0)
  })
})

describe('text masks', () => {
  const masks = new TextMasks()

  test('a stem has the width of the pen, soft edges and an outline', () => {
    const mask = masks.get('I', 44)
    const row = mask.ink.subarray((mask.baseline - 12) * mask.width, (mask.baseline - 11) * mask.width)
    const weight = row.reduce((sum, value) => sum + value, 0) / 255
    expect(weight).toBeGreaterThan(3.9)
    expect(weight).toBeLessThan(4.1)
    expect(mask.ink.every((value, at) => mask.rim[at]! >= value)).toBe(true)
    expect(mask.rim.some((value, at) => value > 100 && mask.ink[at] === 0)).toBe(true)
  })

  test('small text is aligned to the pixel grid: the baseline row is full, the row below it empty', () => {
    for (const size of [14, 17, 22, 29]) {
      const mask = masks.get('L', size)
      const brightest = (y: number) => Math.max(...mask.ink.subarray(y * mask.width, (y + 1) * mask.width))
      expect(brightest(mask.baseline - 1)).toBeGreaterThan(200)
      expect(brightest(mask.baseline)).toBeLessThan(10)
    }
  })

  test('nothing is clipped at the edges of a mask', () => {
    for (const size of [14, 43]) {
      const { ink, width, height } = masks.get(PRINTABLE, size)
      for (let x = 0; x < width; x++) expect(ink[x]! + ink[(height - 1) * width + x]!).toBe(0)
      for (let y = 0; y < height; y++) expect(ink[y * width]! + ink[(y + 1) * width - 1]!).toBe(0)
    }
  })

  test('width grows with size, letters and tracking', () => {
    expect(textWidth('millrace', 44)).toBeCloseTo(2 * textWidth('millrace', 22), 6)
    expect(textWidth('ab', EM, 3)).toBeCloseTo(glyph('a').advance + glyph('b').advance + 3, 6)
    expect(masks.get('millrace', 20).advance).toBe(textWidth('millrace', 20))
    expect(textWidth('', 20)).toBe(0)
  })

  test('keeps a bounded number of masks', () => {
    const few = new TextMasks(2)
    const a = few.get('a', 20)
    const b = few.get('b', 20)
    expect(few.get('a', 20)).toBe(a)
    few.get('c', 20)
    expect(few.get('a', 20)).toBe(a)
    expect(few.get('b', 20)).not.toBe(b)
  })
})

describe('layout', () => {
  const size = 20
  const box = (maxWidth: number, maxLines: 1 | 2 = 2, tailWidth = 0) => ({ size, maxWidth, maxLines, tailWidth })
  const message = 'Restarting the pipeline after a crash'
  const full = textWidth(message, size)

  test('one line when it fits', () => {
    expect(layoutText(`  ${message}\n`, box(full))).toEqual({ lines: [message], tail: false })
    expect(layoutText(message, box(full + 30, 2, 30))).toEqual({ lines: [message], tail: true })
  })

  test('two even lines when one is too wide', () => {
    expect(layoutText(message, box(full * 0.9))?.lines).toEqual(['Restarting the', 'pipeline after a crash'])
    expect(layoutText(message, box(full * 0.9, 2, 90))?.lines).toEqual(['Restarting the pipeline', 'after a crash'])
  })

  test('the suffix is dropped before the message is cut', () => {
    expect(layoutText('Loading', box(textWidth('Loading', size) + 2, 1, 30))).toEqual({
      lines: ['Loading'],
      tail: false,
    })
  })

  test('a message still too wide ends in an ellipsis, without a space or full stop before it', () => {
    for (let width = 30; width < full; width += 3)
      for (const maxLines of [1, 2] as const) {
        const found = layoutText(message, box(width, maxLines, 40))
        if (found === undefined) continue
        expect(found.lines.length).toBeLessThanOrEqual(maxLines)
        for (const line of found.lines) expect(textWidth(line, size)).toBeLessThanOrEqual(width)
        const text = found.lines.join(' ')
        expect(text === message || /[a-z]…$/.test(text)).toBe(true)
      }
  })

  test('nothing when not even a few letters fit', () => {
    expect(layoutText(message, box(12))).toBeUndefined()
  })
})
