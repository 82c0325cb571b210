import { expect, it } from 'vitest'
import { decoderFilters } from '../../../../src/ffmpeg/decoder/filters.ts'
import { decodedSize, shownSize } from '../../../../src/stream/input/form.ts'

const track = { width: 360, height: 288 }
const pixels = (width: number, height: number) => ({ pixelAspect: { width, height } })

it('non-square pixels are stretched in width or height, never shrunk', () => {
  expect(shownSize(pixels(16, 11), track)).toEqual({ width: 524, height: 288 })
  expect(shownSize(pixels(10, 11), track)).toEqual({ width: 360, height: 316 })
  expect(shownSize({ fields: true }, track)).toEqual({ width: 360, height: 576 })
  expect(shownSize({ ...pixels(16, 11), fields: true }, track)).toEqual({ width: 524, height: 576 })
  expect(shownSize({}, track)).toBeUndefined()
  expect(shownSize(pixels(16, 11), {})).toBeUndefined()
})

it('the pixel limit applies to the displayed size', () => {
  const limit = 360 * 288
  expect(decodedSize({ format: 'yuv420p' }, track, limit)).toBeUndefined()
  const { width = 0, height = 0 } = decodedSize({ format: 'yuv420p' }, track, limit, pixels(16, 11)) ?? {}
  expect(width * height).toBeLessThanOrEqual(limit)
  expect(Math.abs(width / height - 524 / 288)).toBeLessThan(0.03)
})

it('a size of the pipeline covers the displayed size, whatever the sample aspect ratio', () => {
  const size = { width: 256, height: 256 }
  const shown = { width: 524, height: 288 }
  const filters = decoderFilters({ format: 'yuv420p', source: {}, size, fit: 'cover', shown })
  expect(filters).toBe('scale=466:256:flags=bilinear,crop=256:256')
})

it('the deinterlacer is used for sources that may have fields only', () => {
  expect(decoderFilters({ format: 'gray', source: { interlaced: true } })).toMatch(/^yadif=/)
  expect(decoderFilters({ format: 'gray', source: { interlaced: true, fields: true } })).not.toContain('yadif')
  expect(decoderFilters({ format: 'gray', source: {} })).not.toContain('yadif')
})
