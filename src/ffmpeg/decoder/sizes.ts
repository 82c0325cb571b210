/** In pixels. */
export type Size = { width: number; height: number }

/** Limit of changes in flight at once. */
const MAX_STEPS = 64

/** The sizes of a source's frames over time: a decoder continues across changes. */
export class SizeTimeline {
  #steps: (Size & { from: number })[] = []

  /** Valid from the keyframe with this time on, in decoding order. An unknown size is no change. */
  note(from: number, { width, height }: Partial<Size>): void {
    if (!width || !height) return
    const last = this.#steps.at(-1)
    const [even, high] = [width - (width % 2), height - (height % 2)]
    if (last && last.width === even && last.height === high) return
    this.#steps.push({ from, width: even, height: high })
    if (this.#steps.length > MAX_STEPS) this.#steps.shift()
  }

  /** Undefined until a size is known. */
  at(pts: number): Size | undefined {
    const step = this.#steps.findLast(({ from }) => from <= pts) ?? this.#steps[0]
    return step && { width: step.width, height: step.height }
  }
}
