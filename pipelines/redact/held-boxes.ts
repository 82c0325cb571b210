import { type Box, coveredBy } from './boxes.ts'

const TICKS_PER_MS = 90
/** Of a box, to be seen as the one found now. */
const SAME = 0.8
/** Boxes of a frame full of text, several times over. */
const MOST = 2000

/** Remembers where text was, since a model misses some of it in some frames. */
export class HeldBoxes {
  #held: { box: Box; pts: number }[] = []

  /** What to redact in the frame of time `pts`, in 90 kHz ticks: what was found in it, and what is not gone for long. */
  add(found: readonly Box[], pts: number, holdMs: number): Box[] {
    const kept = this.#held.filter(
      ({ box, pts: since }) => pts >= since && pts - since <= holdMs * TICKS_PER_MS && coveredBy(box, found) < SAME,
    )
    this.#held = [...found.map((box) => ({ box, pts })), ...kept].slice(0, MOST)
    return this.#held.map(({ box }) => box)
  }

  clear(): void {
    this.#held = []
  }
}
