import { describe, expect, test } from 'vitest'
import {
  frameBytes,
  PIXEL_FORMATS,
  type PixelFormat,
  planes,
  type VideoFrame,
} from '../../../../src/core/media/frame.ts'
import { Overlay, type OverlayRequest } from '../../../../src/stream/overlay/overlay.ts'

const TEXT = 'Loading pipeline…'

function request(more: Partial<OverlayRequest> = {}): OverlayRequest {
  return { format: 'yuv420p', width: 640, height: 360, pts: 9000, text: TEXT, now: 0, ...more }
}

/** A frame of one bright colour, given as R'G'B'. */
function plain(format: PixelFormat, width: number, height: number, colour: [number, number, number]): VideoFrame {
  const data = new Uint8Array(frameBytes(format, width, height))
  const [r, g, b] = colour
  const frame = { data, format, width, height, pts: 0 }
  const grey = 0.299 * r + 0.587 * g + 0.114 * b
  if (format === 'gray') data.fill(grey)
  else if (format === 'yuv420p') {
    const plane = planes(frame)
    plane.y.fill(Math.round(16 + (grey * 219) / 255))
    plane.u.fill(90)
    plane.v.fill(170)
  } else {
    const stride = format === 'rgba' ? 4 : 3
    data.forEach((_, at) => {
      data[at] = colour[at % stride] ?? 7
    })
  }
  return frame
}

/** Full-range grey of every pixel, for any format. */
function greys(frame: VideoFrame): number[] {
  const pixels = frame.width * frame.height
  return Array.from({ length: pixels }, (_, at) => {
    if (frame.format === 'gray') return frame.data[at]!
    if (frame.format === 'yuv420p') return ((frame.data[at]! - 16) * 255) / 219
    const from = at * (frame.format === 'rgba' ? 4 : 3)
    return 0.299 * frame.data[from]! + 0.587 * frame.data[from + 1]! + 0.114 * frame.data[from + 2]!
  })
}

/** Bounding box of all pixels where two frames of one size differ in grey by more than `least`. */
function changedBox(a: VideoFrame, b: VideoFrame, least = 8) {
  const left = greys(a)
  const right = greys(b)
  const box = { count: 0, x0: a.width, y0: a.height, x1: -1, y1: -1 }
  for (const [at, value] of left.entries()) {
    if (Math.abs(value - right[at]!) <= least) continue
    const x = at % a.width
    const y = Math.floor(at / a.width)
    box.count++
    box.x0 = Math.min(box.x0, x)
    box.x1 = Math.max(box.x1, x)
    box.y0 = Math.min(box.y0, y)
    box.y1 = Math.max(box.y1, y)
  }
  return box
}

describe('overlay', () => {
  test.each(PIXEL_FORMATS)('dims the last good frame to about 35 %% and desaturates it, in %s', (format) => {
    const base = plain(format, 320, 180, [200, 160, 120])
    const before = base.data.slice()
    const frame = new Overlay().draw(request({ format, width: 320, height: 180, base, text: '' }))
    const grey = 0.299 * 200 + 0.587 * 160 + 0.114 * 120
    expect(greys(frame)[0]).toBeGreaterThan(grey * 0.35 - 2)
    expect(greys(frame)[0]).toBeLessThan(grey * 0.35 + 2)
    if (format === 'rgb24' || format === 'rgba') expect(new Set(frame.data.subarray(0, 3)).size).toBe(1)
    if (format === 'rgba') expect(frame.data.every((value, at) => at % 4 !== 3 || value === 255)).toBe(true)
    if (format === 'yuv420p') expect([planes(frame).u[0], planes(frame).v[0]]).toEqual([128, 128])
    expect(base.data).toEqual(before)
  })

  test('keeps limited range where the frame was darker than black', () => {
    const base = plain('yuv420p', 64, 64, [0, 0, 0])
    base.data.fill(3, 0, 64 * 64)
    const frame = new Overlay().draw(request({ width: 64, height: 64, base, text: '' }))
    expect(planes(frame).y[0]).toBe(16)
  })

  test('keeps pts and shape, and returns data of its own', () => {
    const overlay = new Overlay()
    const first = overlay.draw(request({ pts: 123_456 }))
    expect(first).toMatchObject({ pts: 123_456, format: 'yuv420p', width: 640, height: 360 })
    const kept = first.data.slice()
    first.data.fill(0)
    expect(overlay.draw(request()).data).toEqual(kept)
  })

  test('writes centred text under the spinner', () => {
    const overlay = new Overlay()
    const text = changedBox(overlay.draw(request()), overlay.draw(request({ text: '' })), 60)
    expect(text.count).toBeGreaterThan(200)
    expect(Math.abs(text.x0 + text.x1 + 1 - 640)).toBeLessThan(6)
    expect(text.x1 - text.x0).toBeLessThan(640 * 0.88)
    expect(text.y1).toBeLessThan(230)
  })

  test('shows seconds after the text from the first second on', () => {
    const overlay = new Overlay()
    const bare = overlay.draw(request())
    expect(overlay.draw(request({ elapsedMs: 999 })).data).toEqual(bare.data)
    const three = overlay.draw(request({ elapsedMs: 3200 }))
    expect(changedBox(bare, three).count).toBeGreaterThan(30)
    expect(overlay.draw(request({ elapsedMs: 3900 })).data).toEqual(three.data)
    const four = changedBox(three, overlay.draw(request({ elapsedMs: 4000 })))
    expect(four.x0).toBeGreaterThan(320)
    expect(four.x1 - four.x0).toBeLessThan(14)
  })

  test('turns the spinner with time and changes nothing else', () => {
    const overlay = new Overlay()
    const turned = changedBox(overlay.draw(request({ now: 1000 })), overlay.draw(request({ now: 1200 })))
    expect(turned.count).toBeGreaterThan(20)
    expect(turned.x1 - turned.x0).toBeLessThan(40)
    expect(turned.y1).toBeLessThan(190)
    const wholeTurnLater = overlay.draw(request({ now: 1000 + 1500 }))
    expect(wholeTurnLater.data).toEqual(overlay.draw(request({ now: 1000 })).data)
  })

  test('turns without jumps, also late on a clock that counts since 1970', () => {
    const overlay = new Overlay()
    const start = 1.8e12
    const steps = Array.from({ length: 20 }, (_, at) => {
      const box = changedBox(
        overlay.draw(request({ now: start + at * 33, text: '' })),
        overlay.draw(request({ now: start + at * 33 + 33, text: '' })),
        2,
      )
      return box.count
    })
    expect(Math.min(...steps)).toBeGreaterThan(10)
    expect(Math.max(...steps)).toBeLessThan(2 * Math.min(...steps))
  })

  test.each([
    [640, 360],
    [257, 255],
    [255, 401],
  ])('looks the same in every format at %ix%i', (width, height) => {
    for (const colour of [undefined, [190, 60, 90]] as const) {
      const draw = (format: PixelFormat) => {
        const base = colour && plain(format, width, height, [...colour])
        return greys(new Overlay().draw(request({ format, width, height, base, elapsedMs: 5000, now: 250 })))
      }
      const reference = draw('gray')
      for (const format of ['yuv420p', 'rgb24', 'rgba'] as const) {
        const worst = draw(format).reduce((most, value, at) => Math.max(most, Math.abs(value - reference[at]!)), 0)
        expect(worst).toBeLessThan(5)
      }
    }
  })

  test('ignores a last frame of another size or format', () => {
    const card = new Overlay().draw(request())
    for (const base of [
      plain('yuv420p', 320, 180, [255, 255, 255]),
      plain('yuv420p', 360, 640, [255, 255, 255]),
      plain('rgb24', 640, 360, [255, 255, 255]),
    ])
      expect(new Overlay().draw(request({ base })).data).toEqual(card.data)
  })

  test('follows a change of frame, size and format', () => {
    const overlay = new Overlay()
    const white = plain('yuv420p', 640, 360, [255, 255, 255])
    const black = plain('yuv420p', 640, 360, [0, 0, 0])
    for (const next of [
      request({ base: white }),
      request({ base: black }),
      request({ base: white }),
      request({ width: 320, height: 180 }),
      request({ format: 'rgba', width: 320, height: 180 }),
      request(),
    ])
      expect(overlay.draw(next).data).toEqual(new Overlay().draw(next).data)
  })

  test('draws at any size, and leaves out what does not fit', () => {
    const sizes = [1, 2, 3, 17, 21, 33, 64, 65, 100]
    for (const width of sizes)
      for (const height of sizes)
        for (const format of PIXEL_FORMATS) {
          const frame = new Overlay().draw(request({ format, width, height, elapsedMs: 61_000 }))
          expect(frame.data.length).toBe(frameBytes(format, width, height))
        }
    const tiny = { width: 40, height: 24 }
    expect(new Overlay().draw(request(tiny)).data).toEqual(new Overlay().draw(request({ ...tiny, text: '' })).data)
  })

  test('accepts any text', () => {
    const overlay = new Overlay()
    for (const text of ['', '   ', '\n', 'é ü 字 🎬', 'w'.repeat(50_000), 'a b '.repeat(20_000)])
      expect(overlay.draw(request({ text, elapsedMs: 1e12 })).width).toBe(640)
  })

  test('is cheap while only the spinner moves', () => {
    const average = (format: PixelFormat, width: number, height: number) => {
      const overlay = new Overlay()
      const base = plain(format, width, height, [120, 130, 140])
      const draw = (at: number) =>
        overlay.draw(request({ format, width, height, base, now: at * 33, elapsedMs: at * 33 }))
      for (let at = 0; at < 20; at++) draw(at)
      const started = performance.now()
      for (let at = 20; at < 80; at++) draw(at)
      return (performance.now() - started) / 60
    }
    // A tenth of this on a quiet machine; above a frame interval it would be noticeable on any.
    expect(average('yuv420p', 1280, 720)).toBeLessThan(33)
    expect(average('rgb24', 1920, 1080)).toBeLessThan(66)
  })
})
