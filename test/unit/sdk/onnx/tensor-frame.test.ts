import { describe, expect, test } from 'vitest'
import { frameBytes, PIXEL_FORMATS, type PixelFormat, type VideoFrame } from '../../../../src/core/media/frame.ts'
import { floatFromHalf, halfFromFloat } from '../../../../src/sdk/onnx/half-float.ts'
import { extent } from '../../../../src/sdk/onnx/tensor-frame.ts'
import { TensorFrame } from '../../../../src/sdk/onnx.ts'
import { Resampler } from '../../../../src/sdk/resample.ts'

function makeFrame(format: PixelFormat, width: number, height: number, fill: (i: number) => number): VideoFrame {
  const data = Uint8Array.from({ length: frameBytes(format, width, height) }, (_, i) => fill(i))
  return { data, format, width, height, pts: 7 }
}

function scale(from: number[], width: number, outWidth: number, outHeight: number): number[] {
  const height = from.length / width
  const out = new Uint8Array(outWidth * outHeight)
  new Resampler(width, height, outWidth, outHeight).scale(
    { data: Uint8Array.from(from), offset: 0, step: 1, stride: width },
    [{ data: out, offset: 0, step: 1, stride: outWidth }],
  )
  return [...out]
}

describe('Resampler', () => {
  test.each<[string, number[], number, number, number, number[]]>([
    ['as it is', [1, 2, 3, 4], 2, 2, 2, [1, 2, 3, 4]],
    ['halved', [0, 100, 200, 40], 2, 1, 1, [85]],
    ['halved in width', [0, 100, 200, 40], 4, 2, 1, [50, 120]],
    ['by one and a half', [0, 90, 240], 3, 2, 1, [30, 190]],
    ['doubled', [0, 100], 2, 4, 1, [0, 25, 75, 100]],
    ['a single sample grows', [9], 1, 3, 2, [9, 9, 9, 9, 9, 9]],
    ['to a single sample', [10, 20, 30, 40, 50], 5, 1, 1, [30]],
  ])('%s', (_, from, width, outWidth, outHeight, expected) => {
    expect(scale(from, width, outWidth, outHeight)).toEqual(expected)
  })

  test('a uniform frame stays uniform at every size', () => {
    for (let size = 1; size <= 40; size++) {
      for (const level of [0, 1, 127, 254, 255])
        expect(new Set(scale(Array(19 * 23).fill(level), 19, size, 41 - size))).toEqual(new Set([level]))
    }
  })
})

describe('TensorFrame', () => {
  test('planar or interleaved channels', () => {
    const input = makeFrame('rgb24', 2, 1, (i) => [255, 0, 51, 0, 255, 102][i] as number)
    const nchw = new TensorFrame({ width: 2, height: 1 }).fromFrame(input)
    expect(nchw.dims).toEqual([1, 3, 1, 2])
    expect([...nchw.data].map((v) => Math.round(v * 100) / 100)).toEqual([1, 0, 0, 1, 0.2, 0.4])
    const nhwc = new TensorFrame({ width: 2, height: 1, layout: 'NHWC', type: 'uint8', channels: 'bgr' })
    expect(nhwc.dims).toEqual([1, 1, 2, 3])
    expect([...nhwc.fromFrame(input).data]).toEqual([51, 0, 255, 102, 255, 0])
  })

  test('range, mean and standard deviation', () => {
    const input = makeFrame('rgb24', 1, 1, () => 255)
    const frame = new TensorFrame({ width: 1, height: 1, range: [-1, 1], mean: [0.5, 0, -1], std: [0.5, 2, 1] })
    expect([...frame.fromFrame(input).data]).toEqual([1, 0.5, 2])
  })

  const kinds = PIXEL_FORMATS.flatMap((format) =>
    (['NCHW', 'NHWC'] as const).flatMap((layout) =>
      (['float32', 'float16', 'uint8'] as const).map((type) => ({ format, layout, type })),
    ),
  )
  test.each(kinds)('$format to $type $layout and back', ({ format, layout, type }) => {
    // Grey in every format, with neutral chroma.
    const [width, height] = [33, 21]
    const input = makeFrame(format, width, height, (i) => (format === 'yuv420p' && i >= width * height ? 128 : 150))
    const frame = new TensorFrame({ width, height, layout, type, range: type === 'uint8' ? [0, 255] : [-1, 1] })
    const output = frame.toFrame(frame.fromFrame(input), input)
    expect({ ...output, data: undefined }).toEqual({ format: 'rgb24', width, height, pts: 7, data: undefined })
    const expected = format === 'yuv420p' ? Math.round(1.164 * (150 - 16)) : 150
    expect(Math.max(...output.data.map((v) => Math.abs(v - expected)))).toBeLessThanOrEqual(1)
  })

  test('colours of yuv420p are those of ITU-R BT.601', () => {
    const red = {
      data: Uint8Array.of(81, 81, 81, 81, 90, 240),
      format: 'yuv420p',
      width: 2,
      height: 2,
      pts: 0,
    } as const
    const [r, g, b] = new TensorFrame({ width: 1, height: 1, type: 'uint8' }).fromFrame(red).data
    expect([r, g, b]).toEqual([254, 0, 0])
  })

  test('a letterbox keeps the aspect ratio and is removed again', () => {
    const frame = new TensorFrame({ width: 8, height: 8, fit: 'letterbox', type: 'uint8', layout: 'NHWC' })
    expect(frame.placement(16, 8)).toEqual({ x: 0, y: 2, width: 8, height: 4 })
    const input = makeFrame('rgb24', 16, 8, () => 200)
    const { data } = frame.fromFrame(input)
    expect([data[0], data[2 * 8 * 3], data[6 * 8 * 3]]).toEqual([114, 200, 114])
    const tensor = frame.fromFrame(input)
    expect(new Set(frame.toFrame(tensor, input).data)).toEqual(new Set([200]))
  })

  test('one channel is a gray frame, and values out of range are clipped', () => {
    const frame = new TensorFrame({ width: 2, height: 1, channels: 'gray' })
    const tensor = { type: 'float32', dims: [1, 1, 1, 2], data: Float32Array.of(-3, 1.5) } as const
    const output = frame.toFrame(tensor, { width: 2, height: 1, pts: 3 })
    expect(output).toEqual({ data: Uint8Array.of(0, 255), format: 'gray', width: 2, height: 1, pts: 3 })
  })

  test('a tensor of another shape is refused', () => {
    const frame = new TensorFrame({ width: 2, height: 2 })
    const tensor = { type: 'float32', dims: [1, 3, 2, 3], data: new Float32Array(18) } as const
    expect(() => frame.toFrame(tensor, { width: 2, height: 2, pts: 0 })).toThrow('the tensor is 1x3x2x3, not 1x3x2x2')
  })

  test.each([
    [{ width: 0, height: 4 }, 'a side of 0 pixels'],
    [{ width: 4, height: 4, mean: [1] }, 'take 3 values, not 1'],
    [{ width: 4, height: 4, std: [1, 0, 1] }, 'must not be empty or 0'],
    [{ width: 4, height: 4, range: [1, 1] as const }, 'must not be empty or 0'],
  ])('%j is refused', (options, message) => {
    expect(() => new TensorFrame(options)).toThrow(message)
  })
})

describe('half precision', () => {
  test('every number converts back', () => {
    for (let half = 0; half < 0x10000; half++) {
      const value = floatFromHalf(half)
      if (Number.isNaN(value)) expect(Number.isNaN(floatFromHalf(halfFromFloat(value)))).toBe(true)
      else if (halfFromFloat(value) !== half) throw new Error(`${half} came back as ${halfFromFloat(value)}`)
    }
  })

  test.each([
    [1 / 3, 0x3555],
    [65504, 0x7bff],
    [65520, 0x7c00],
    [2 ** -25, 0],
    [-2, 0xc000],
  ])('%f', (value, half) => expect(halfFromFloat(value)).toBe(half))
})

describe('the range of a tensor', () => {
  const of = (...values: number[]) =>
    extent({ type: 'float32', dims: [values.length], data: Float32Array.from(values) })
  test.each([
    [
      [2, Number.POSITIVE_INFINITY, 4],
      [2, 4],
    ],
    [
      [Number.NaN, -1, Number.NEGATIVE_INFINITY, 3],
      [-1, 3],
    ],
    [[Number.POSITIVE_INFINITY], [0, 1]],
    [
      [5, 5, Number.NaN],
      [5, 6],
    ],
  ])('of %j ignores values that are not finite', (values, range) => {
    expect(of(...values)).toEqual(range)
  })
  test('is read from half precision as numbers', () => {
    // -2, 1 and infinity.
    expect(extent({ type: 'float16', dims: [3], data: Uint16Array.of(0xc000, 0x3c00, 0x7c00) })).toEqual([-2, 1])
  })
})
