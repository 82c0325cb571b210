import type { Coverage } from './paint.ts'

/**
 * A rotating arc of 270 degrees with round ends, bright at its head and faint at its tail, over a full ring as its
 * track.
 */
export type Spinner = {
  /** Both masks cover the same square. */
  arc: Coverage
  ring: Coverage
}

const DEGREES_PER_SECOND = 240
const SWEEP = 1.5 * Math.PI
const TAIL = 0.22

/** Side of the square that a spinner covers in pixels: its ring and one pixel of soft edge. */
export function spinnerSide(radius: number, thickness: number): number {
  return Math.ceil(2 * radius + thickness) + 2
}

/** The spinner at time `now` in ms; `radius` of the line's centre and `thickness` of the line in pixels. */
export function drawSpinner(radius: number, thickness: number, now: number): Spinner {
  const side = spinnerSide(radius, thickness)
  const arc = new Uint8Array(side * side)
  const ring = new Uint8Array(side * side)
  const head = (((now * DEGREES_PER_SECOND) / 1000) % 360) * (Math.PI / 180)
  const half = thickness / 2
  const tail = head - SWEEP
  const ends = [
    { x: radius * Math.cos(head), y: radius * Math.sin(head), strength: 1 },
    { x: radius * Math.cos(tail), y: radius * Math.sin(tail), strength: TAIL },
  ]
  for (let row = 0, at = 0; row < side; row++) {
    const y = row + 0.5 - side / 2
    for (let column = 0; column < side; column++, at++) {
      const x = column + 0.5 - side / 2
      const cover = edge(half - Math.abs(Math.sqrt(x * x + y * y) - radius))
      if (cover === 0) continue
      ring[at] = Math.round(255 * cover)
      const behind = turn(head - Math.atan2(y, x))
      let strength = behind <= SWEEP ? cover * (1 - (1 - TAIL) * (behind / SWEEP)) : 0
      for (const end of ends) {
        const cap = edge(half - Math.hypot(x - end.x, y - end.y)) * end.strength
        if (cap > strength) strength = cap
      }
      arc[at] = Math.round(255 * strength)
    }
  }
  return { arc: { alpha: arc, width: side, height: side }, ring: { alpha: ring, width: side, height: side } }
}

/** Coverage of a pixel whose centre is `inside` pixels within an edge. */
function edge(inside: number): number {
  return Math.min(1, Math.max(0, inside + 0.5))
}

/** The angle normalized to one turn, from 0. */
function turn(angle: number): number {
  const full = 2 * Math.PI
  return ((angle % full) + full) % full
}
