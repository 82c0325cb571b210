import type { Box } from './motion.ts'

/** How long, in seconds, a thing may be out of sight and still be the same. */
const LOST_S = 0.5

export type Track = { id: number; box: Box; seenAt: number; side: -1 | 1 | undefined }
export type Line = { axis: 'x' | 'y'; at: number }

/** Tracks boxes between frames, and counts those that cross a line. */
export class Tracks {
  #next = 1
  #tracks: Track[] = []
  /** To the right or down; to the left or up. */
  readonly counts = { forward: 0, backward: 0 }

  /** The tracks in sight at `seconds`, with stable ids. */
  follow(boxes: Box[], line: Line, seconds: number): Track[] {
    this.#tracks = this.#tracks.filter(({ seenAt }) => seconds >= seenAt && seconds - seenAt <= LOST_S)
    const pairs = this.#tracks
      .flatMap((track) => boxes.map((box) => ({ track, box, distance: distance(track.box, box) })))
      .filter(({ track, box, distance }) => distance <= reach(track.box, box))
      .sort((a, b) => a.distance - b.distance)
    const taken = new Set<Track | Box>()
    for (const { track, box } of pairs) {
      if (taken.has(track) || taken.has(box)) continue
      taken.add(track).add(box)
      track.box = box
      track.seenAt = seconds
    }
    for (const box of boxes) {
      if (!taken.has(box)) this.#tracks.push({ id: this.#next++, box, seenAt: seconds, side: undefined })
    }
    const seen = this.#tracks.filter(({ seenAt }) => seenAt === seconds)
    for (const track of seen) this.#count(track, line)
    return seen
  }

  /** Forgets sides, which belong to another line. */
  forgetSides(): void {
    for (const track of this.#tracks) track.side = undefined
  }

  #count(track: Track, { axis, at }: Line): void {
    const past = middle(track.box)[axis] - at
    // A quarter of its size beyond the line: a thing that trembles on the line has not crossed it.
    const margin = (axis === 'x' ? track.box.width : track.box.height) / 4
    if (Math.abs(past) < margin) return
    const side = past < 0 ? -1 : 1
    if (track.side !== undefined && track.side !== side) this.counts[side > 0 ? 'forward' : 'backward']++
    track.side = side
  }
}

const middle = ({ x, y, width, height }: Box) => ({ x: x + width / 2, y: y + height / 2 })

function distance(a: Box, b: Box): number {
  const [from, to] = [middle(a), middle(b)]
  return Math.hypot(to.x - from.x, to.y - from.y)
}

/** How far a thing may move between two frames: its own length. */
const reach = (a: Box, b: Box) => Math.max(a.width, a.height, b.width, b.height)
