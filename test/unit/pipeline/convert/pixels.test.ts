import { describe, expect, test } from 'vitest'
import { frameBytes, PIXEL_FORMATS, type PixelFormat } from '../../../../src/core/media/frame.ts'
import { type Image, PixelConverter } from '../../../../src/pipeline/convert/pixels.ts'

const BT601 = 6
const BT709 = 1

function image(format: PixelFormat, width: number, height: number, data?: number[]): Image {
  const bytes = frameBytes(format, width, height)
  return {
    data: data ? Uint8Array.from({ length: bytes }, (_, i) => data[i % data.length]!) : new Uint8Array(bytes),
    format,
    width,
    height,
  }
}

function convert(from: Image, format: PixelFormat, matrix = BT601, { width, height } = from): Uint8Array {
  const to = image(format, width, height)
  new PixelConverter().convert(from, to, matrix)
  return to.data
}

/** 4×2 pixels of one colour. */
const solid = (rgb: number[]) => image('rgb24', 4, 2, rgb)
const yuvOf = (data: Uint8Array) => [data[0], data[8], data[10]]

describe('colours of ITU-T H.273 in limited range', () => {
  test.each([
    ['black', [0, 0, 0], [16, 128, 128], [16, 128, 128]],
    ['white', [255, 255, 255], [235, 128, 128], [235, 128, 128]],
    ['red', [255, 0, 0], [81, 90, 240], [63, 102, 240]],
    ['green', [0, 255, 0], [145, 54, 34], [173, 42, 26]],
    ['blue', [0, 0, 255], [41, 240, 110], [32, 240, 118]],
  ])('%s', (_, rgb, bt601, bt709) => {
    expect(yuvOf(convert(solid(rgb), 'yuv420p'))).toEqual(bt601)
    expect(yuvOf(convert(solid(rgb), 'yuv420p', BT709))).toEqual(bt709)
    for (const [matrix, planes] of [
      [BT601, bt601],
      [BT709, bt709],
    ] as const) {
      const yuv = image('yuv420p', 4, 2)
      yuv.data.fill(planes[0]!, 0, 8).fill(planes[1]!, 8, 10).fill(planes[2]!, 10)
      const back = [...convert(yuv, 'rgb24', matrix).slice(0, 3)]
      for (const [at, sample] of back.entries()) expect(Math.abs(sample - rgb[at]!)).toBeLessThanOrEqual(2)
    }
  })

  test('grey is full range, and the luma of colours', () => {
    expect(convert(image('gray', 2, 2, [255]), 'yuv420p')).toEqual(Uint8Array.of(235, 235, 235, 235, 128, 128))
    expect(convert(image('yuv420p', 2, 2, [235, 235, 235, 235, 90, 240]), 'gray')).toEqual(
      Uint8Array.of(255, 255, 255, 255),
    )
    expect(convert(solid([255, 0, 0]), 'gray')[0]).toBe(76)
    expect(convert(image('gray', 2, 2, [7]), 'rgba')).toEqual(image('rgba', 2, 2, [7, 7, 7, 255]).data)
  })
})

test('RGB colours survive yuv420p except for rounding, also with odd sizes', () => {
  for (const [width, height] of [
    [6, 4],
    [5, 3],
    [1, 1],
  ] as const) {
    const from = image('rgb24', width, height, [200, 100, 50])
    const back = convert({ ...from, format: 'yuv420p', data: convert(from, 'yuv420p') }, 'rgb24')
    expect(back).toHaveLength(from.data.length)
    for (const [at, sample] of back.entries()) expect(Math.abs(sample - from.data[at]!)).toBeLessThanOrEqual(2)
  }
})

test('every format converted to every other one, at another resolution, keeps its colours', () => {
  const grey = { yuv420p: [126], rgb24: [128], rgba: [128, 128, 128, 255], gray: [128] }
  for (const from of PIXEL_FORMATS)
    for (const to of PIXEL_FORMATS) {
      const source = image(from, 16, 8, grey[from])
      if (from === 'yuv420p') source.data.fill(128, 16 * 8)
      const target = image(to, 10, 6)
      new PixelConverter().convert(source, target, BT601)
      const expected = image(to, 10, 6, grey[to])
      if (to === 'yuv420p') expected.data.fill(128, 60)
      for (const [at, sample] of target.data.entries())
        expect(Math.abs(sample - expected.data[at]!), `${from} to ${to}`).toBeLessThanOrEqual(1)
    }
})

test('downscaling keeps the image', () => {
  const from = image('gray', 8, 8)
  for (let y = 0; y < 8; y++) from.data.fill(y < 4 ? 0 : 200, y * 8, y * 8 + 8)
  expect(convert(from, 'gray', BT601, { ...from, width: 2, height: 2 })).toEqual(Uint8Array.of(0, 0, 200, 200))
})
