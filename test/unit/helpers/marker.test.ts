import { describe, expect, test } from 'vitest'
import { drawMarker, MARKER_LIMIT, READ_MARKER_SOURCE, readMarker, readMarkerFromRgba } from '../../helpers/marker.ts'

const frame = (width: number, height: number, number: number): Uint8Array => {
  const luma = Uint8Array.from({ length: width * height }, (_, index) => 60 + ((index * 31) % 120))
  drawMarker(luma, width, height, number)
  return luma
}

/** Halves the size: each pixel is the mean of four. */
const halved = (luma: Uint8Array, width: number, height: number): Uint8Array => {
  const at = (x: number, y: number) => luma[y * width + x] ?? 0
  return Uint8Array.from({ length: (width >> 1) * (height >> 1) }, (_, index) => {
    const x = (index % (width >> 1)) * 2
    const y = Math.floor(index / (width >> 1)) * 2
    return (at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1)) / 4
  })
}

const rgba = (luma: Uint8Array): Uint8ClampedArray =>
  Uint8ClampedArray.from({ length: luma.length * 4 }, (_, index) => (index % 4 === 3 ? 255 : (luma[index >> 2] ?? 0)))

const NUMBERS = [0, 1, 2, 255, 256, 1050, 65_535, 65_536, 0x5a5a5a, 0xa5a5a5, MARKER_LIMIT - 1]
const SIZES = [
  [1280, 720],
  [640, 360],
  [320, 180],
  [321, 179],
  [512, 512],
  [1920, 1080],
  [3840, 2160],
  [720, 1280],
  [160, 120],
] as const

describe('marker', () => {
  test.each(SIZES)('every number is read back at %i x %i', (width, height) => {
    for (const number of NUMBERS) expect(readMarker(frame(width, height, number), width, height)).toBe(number)
  })

  test('a thousand consecutive numbers are read back', () => {
    for (let number = 0; number < 1000; number++) expect(readMarker(frame(320, 180, number), 320, 180)).toBe(number)
  })

  test.each(NUMBERS)('%i survives inversion, halving and lower contrast', (number) => {
    const whole = frame(1280, 720, number)
    expect(
      readMarker(
        whole.map((value) => 255 - value),
        1280,
        720,
      ),
    ).toBe(number)
    expect(readMarker(halved(whole, 1280, 720), 640, 360)).toBe(number)
    expect(
      readMarker(
        whole.map((value) => 90 + value / 3),
        1280,
        720,
      ),
    ).toBe(number)
  })

  test('it is read from RGBA by the source that also runs in a browser', () => {
    const fromSource = new Function(`${READ_MARKER_SOURCE}; return readMarkerFromRgba`)() as typeof readMarkerFromRgba
    for (const number of NUMBERS) {
      const pixels = rgba(frame(320, 180, number))
      expect(readMarkerFromRgba(pixels, 320, 180)).toBe(number)
      expect(fromSource(pixels, 320, 180)).toBe(number)
    }
  })

  test('a frame without a marker gives no number', () => {
    const noise = Uint8Array.from({ length: 320 * 180 }, (_, index) => (Math.imul(index, 0x9e3779b1) >>> 24) & 255)
    expect(readMarker(noise, 320, 180)).toBeUndefined()
    expect(readMarker(new Uint8Array(320 * 180), 320, 180)).toBeUndefined()
    expect(readMarker(new Uint8Array(320 * 180).fill(255), 320, 180)).toBeUndefined()
  })

  test('two blended frames give no number, or one of the two', () => {
    for (let number = 0; number < 200; number++) {
      const [a, b] = [frame(320, 180, number), frame(320, 180, number + 1)]
      const mixed = a.map((value, index) => (value + (b[index] ?? 0)) / 2)
      expect([undefined, number, number + 1]).toContain(readMarker(mixed, 320, 180))
    }
  })

  test('pixels below the strip are unchanged', () => {
    const luma = new Uint8Array(320 * 180).fill(77)
    drawMarker(luma, 320, 180, 5)
    expect(luma.subarray(320 * 30).every((value) => value === 77)).toBe(true)
  })
})
