const COLOURS = ['#4ecfbf', '#ffb454', '#8ab4ff', '#ff8fa3', '#c3e88d', '#d7a6ff']
const UNDER = 'rgb(7 11 12 / 75%)'

/**
 * Draws shapes over a video that fills its canvas as with `object-fit: contain`. `groups` are those of `readShapes`,
 * each in its own pixel coordinates.
 */
export function paint(canvas, groups) {
  const scale = devicePixelRatio || 1
  const [wide, high] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)]
  // Setting the size also clears the canvas.
  if (canvas.width !== wide) canvas.width = wide
  if (canvas.height !== high) canvas.height = high
  const context = canvas.getContext('2d')
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.clearRect(0, 0, wide, high)
  const placed = groups.flatMap((group) => place(group, wide, high))
  for (const shape of placed) outline(context, shape, scale)
  context.font = `600 ${12 * scale}px system-ui, sans-serif`
  context.textBaseline = 'middle'
  for (const shape of placed) if (shape.label) tag(context, shape, scale)
}

function place({ width, height, shapes }, wide, high) {
  if (!(width > 0 && height > 0)) return []
  const zoom = Math.min(wide / width, high / height)
  const [left, top] = [(wide - width * zoom) / 2, (high - height * zoom) / 2]
  return shapes.map(({ points, label }) => ({
    label,
    left,
    top,
    colour: COLOURS[hash(label.replace(/ ?\d+ %$/, '')) % COLOURS.length],
    points: points.map(([x, y]) => [left + x * zoom, top + y * zoom]),
  }))
}

function outline(context, { points, colour }, scale) {
  context.beginPath()
  for (const [x, y] of points) context.lineTo(x, y)
  context.closePath()
  context.lineJoin = 'round'
  for (const [style, lineWidth] of [
    [UNDER, 4 * scale],
    [colour, 2 * scale],
  ]) {
    context.strokeStyle = style
    context.lineWidth = lineWidth
    context.stroke()
  }
}

/** Above the shape, or inside it at the frame's edge. */
function tag(context, { points, label, colour, left, top }, scale) {
  const x = Math.max(left, Math.min(...points.map(([x]) => x)))
  const y = Math.min(...points.map(([, y]) => y))
  const high = 18 * scale
  const above = y - high - scale >= top
  const at = above ? y - high - scale : Math.max(top, y + scale)
  context.fillStyle = UNDER
  context.fillRect(x - scale, at, context.measureText(label).width + 12 * scale, high)
  context.fillStyle = colour
  context.fillText(label, x + 5 * scale, at + high / 2)
}

function hash(text) {
  let sum = 0
  for (const char of text) sum = (sum * 31 + char.codePointAt(0)) >>> 0
  return sum
}
