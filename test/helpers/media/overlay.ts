import { waitFor } from '../wait.ts'
import { decodeNumbers, type NumberedFrame } from './probe-ts.ts'
import type { Recording } from './record.ts'

export type AroundOverlay = {
  /** Of the publisher's frames that were shown before it. */
  before: number[]
  /** Frames for which the overlay was shown. */
  overlay: number
  after: number[]
}

/** The overlay is drawn over the last frame that came through, whose number stays to be read. Fails without an overlay, and where frames go back. */
function aroundOverlay(frames: readonly NumberedFrame[]): AroundOverlay {
  const numbers = frames.map(({ number }) => number ?? Number.NaN)
  if (numbers.some(Number.isNaN)) throw new Error(`frames without a number: ${numbers.join(' ')}`)
  const back = frames.some(({ pts }, at) => at > 0 && (pts <= frames[at - 1]!.pts || numbers[at]! < numbers[at - 1]!))
  if (back) throw new Error(`frames that go back: ${numbers.join(' ')}`)
  const held = numbers.find((number, at) => number === numbers[at + 1])
  if (held === undefined) throw new Error(`no overlay: ${numbers.join(' ')}`)
  const [first, last] = [numbers.indexOf(held), numbers.lastIndexOf(held)]
  return { before: numbers.slice(0, first + 1), overlay: last - first, after: numbers.slice(last + 1) }
}

/** Waits until frames of the publisher come after the overlay. */
export function awaitOverlayAndFrames(viewer: Recording): Promise<AroundOverlay> {
  const look = async () => {
    // The last one may be cut off.
    const around = aroundOverlay((await decodeNumbers(viewer.bytes())).slice(0, -1))
    return new Set(around.after).size > 5 && around
  }
  return waitFor('frames after the overlay', look, { everyMs: 300 })
}
