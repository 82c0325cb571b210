import { READ_MARKER_SOURCE } from '../marker.ts'

/**
 * Plain JavaScript for a page. `numberedCanvas(width, height, fps)` draws frames with numbers (see `marker.ts`) and
 * returns when each was drawn: `{ track(), drawn: Map<number, ms>, stop() }`. `readNumbers(video, drawn)` records each
 * number that a `<video>` shows: `[{ at, ms, number }]`, `at` since 1970 and `ms` since it was drawn.
 */
export const NUMBERED_CANVAS_SOURCE = `
${READ_MARKER_SOURCE}
const numberedCanvas = (width, height, fps) => {
  const columns = 18
  const canvas = Object.assign(document.createElement('canvas'), { width, height })
  const context = canvas.getContext('2d')
  const drawn = new Map()
  let number = 0
  const draw = () => {
    number++
    context.fillStyle = 'hsl(' + (number % 360) + ' 40% 45%)'
    context.fillRect(0, 0, width, height)
    context.fillStyle = '#d0d0d0'
    for (let i = 0; i < 40; i++) context.fillRect((i * 67 + number * 5) % width, 130 + (i * 41) % (height - 160), 40, 24)
    const sum = Math.imul(number ^ 0x5a5a5a, 0x9e3779b1) >>> 24
    const bits = ((number << 8) | sum) >>> 0
    const strip = Math.floor(height / 6)
    for (let row = 0; row < 2; row++) {
      for (let column = 0; column < columns; column++) {
        const bit = ((bits >>> (31 - (row * 16 + column - 1))) & 1) === 1
        const white = column === 0 ? row === 0 : column === columns - 1 ? row === 1 : bit
        context.fillStyle = white ? '#fff' : '#000'
        const left = Math.round(column * width / columns)
        const top = Math.round(row * strip / 2)
        context.fillRect(left, top, Math.round((column + 1) * width / columns) - left, Math.round((row + 1) * strip / 2) - top)
      }
    }
    drawn.set(number, performance.now())
  }
  draw()
  const timer = setInterval(draw, 1000 / fps)
  return { drawn, stop: () => clearInterval(timer), track: () => canvas.captureStream(fps).getVideoTracks()[0] }
}
const readNumbers = (video, drawn) => {
  const shown = []
  const strip = Object.assign(document.createElement('canvas'), { width: 360, height: 40 }).getContext('2d', { willReadFrequently: true })
  const note = (_, meta) => {
    const at = performance.now()
    strip.drawImage(video, 0, 0, meta.width, Math.floor(meta.height / 6), 0, 0, 360, 40)
    const number = readMarkerFromRgba(strip.getImageData(0, 0, 360, 40).data, 360, 240)
    const from = drawn.get(number)
    if (from !== undefined) shown.push({ at: performance.timeOrigin + at, ms: at - from, number })
    video.requestVideoFrameCallback(note)
  }
  video.requestVideoFrameCallback(note)
  return shown
}
`
