import { type Box, coveredBy } from './boxes.ts'

const TICKS_PER_MS = 90
/** Overlap, as a share, above which a box counts as found again. */
const SAME = 0.8
/** Several times the number of boxes in a frame full of text. */
const MOST = 2000

/** Remembers boxes of text, because a model misses some in some frames. */
export class HeldBoxes {
  #held: { box: Box; pts: number }[] = []

  /**
   * The boxes to redact in the frame at `pts`, in 90 kHz ticks: those found in it, and those not missing for longer
   * than `holdMs`.
   */
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
