const MAX_SHAPES = 500
const MAX_POINTS = 2000
const MAX_LABEL = 80
const MAX_TEXT = 2000

/**
 * Reads the drawable part of a frame's data: `{ width, height, shapes, text }`. A shape has `points`, `[x, y]` in
 * pixels of a frame of that size, and a `label`. Data is arbitrary JSON; parts of another form are skipped.
 */
export function readShapes(data, { width, height }) {
  if (typeof data === 'string') return { width, height, shapes: [], text: data.slice(0, MAX_TEXT) }
  const given = isObject(data) ? data : {}
  const shapes = [...listOf(given.boxes).map(boxOf), ...listOf(given.polygons).map(polygonOf)]
  return {
    width: given.width > 0 ? given.width : width,
    height: given.height > 0 ? given.height : height,
    shapes: shapes.filter(Boolean).slice(0, MAX_SHAPES),
    text: typeof given.text === 'string' ? given.text.slice(0, MAX_TEXT) : '',
  }
}

/** Whether data reports shapes, if only that there are none. */
export const hasShapes = (data) => isObject(data) && (Array.isArray(data.boxes) || Array.isArray(data.polygons))

export const hasText = (data) => typeof data === 'string' || (isObject(data) && typeof data.text === 'string')

function boxOf(box) {
  if (!isObject(box)) return undefined
  const { x, y, width, height } = box
  if (![x, y, width, height].every(Number.isFinite) || width < 0 || height < 0) return undefined
  const points = [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ]
  return { points, label: labelOf(box) }
}

/** Takes `{ points: [[x, y], …], label? }` or the points alone. */
function polygonOf(polygon) {
  const points = listOf(isObject(polygon) ? polygon.points : polygon).slice(0, MAX_POINTS)
  const isPoint = (point) => Array.isArray(point) && Number.isFinite(point[0]) && Number.isFinite(point[1])
  const isWhole = points.length > 1 && points.every(isPoint)
  return isWhole ? { points, label: labelOf(polygon) } : undefined
}

function labelOf({ label, score }) {
  const sure = Number.isFinite(score) && score >= 0 && score <= 1 ? `${Math.round(score * 100)} %` : ''
  const name = typeof label === 'string' || typeof label === 'number' ? String(label).slice(0, MAX_LABEL) : ''
  return [name, sure].filter(Boolean).join(' ')
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
const listOf = (value) => (Array.isArray(value) ? value : [])
