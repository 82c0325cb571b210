import type { VideoFrame } from '../../core/media/frame.ts'
import { giveBack } from '../../core/media/frame-pool.ts'
import type { PipelineLease } from '../../pipeline/supervision/pool/pool.ts'

export type TakeoverOptions = {
  from: PipelineLease
  to: PipelineLease
  /** Both take frames of the same form, so the new one gets the old one's frames too. */
  sameForm: boolean
  /** Time of the newest frame sent to viewers. */
  shown(): number
  show(frame: VideoFrame): void
  /** Prepares the outputs for frames like this one; its memory is reused after the call. */
  prepare(frame: VideoFrame): Promise<void>
  /** From now on frames go only to the new pipeline; up to `boundary` the old one's outputs are shown. */
  onSwitch(boundary: number): void
}

/** Time limit for the old pipeline's last outputs, which the new one's wait for. */
const DRAIN_MS = 1000
const MAX_HELD = 30
const MAX_OWED = 128

/**
 * Two pipelines on the same frames: the old one is on air, and the new one also gets its frames until it gives an
 * output. Its time is the boundary: outputs of the old pipeline are shown up to it, and those of the new one after it,
 * each frame once.
 */
export class Takeover {
  /** Resolves when a frame of the new pipeline was shown and the old one is no longer needed. */
  readonly finished: Promise<void>
  /** Frames given to both. */
  offered = 0
  readonly #options: TakeoverOptions
  readonly #finish: () => void
  /** Times of frames that the old pipeline has and that have no output yet. */
  #owed: number[] = []
  #held: VideoFrame[] = []
  #boundary: number | undefined
  #prepared: 'no' | 'soon' | 'yes' = 'no'
  #shown = false
  #drain: NodeJS.Timeout | undefined

  constructor(options: TakeoverOptions) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#options = options
    this.finished = promise
    this.#finish = resolve
  }

  /** After this there is no way back to the old pipeline. */
  get switched(): boolean {
    return this.#boundary !== undefined
  }

  /** Call before a frame is given to the old pipeline. */
  input(frame: VideoFrame): void {
    if (this.switched) return
    this.offered++
    const { from, to, sameForm } = this.#options
    if (from.status.phase === 'ready' && from.takesVideo) this.#owed.push(frame.pts)
    if (this.#owed.length > MAX_OWED) this.#owed.shift()
    if (sameForm && to.takesVideo) to.offer(frame)
  }

  /** Takes an output of either. */
  output(lease: PipelineLease, frame: VideoFrame): void {
    if (lease === this.#options.from) this.#oldOutput(frame)
    else if (lease === this.#options.to) this.#newOutput(frame)
    else giveBack(frame.data)
  }

  /** Switches without an output, because no frames come in. */
  force(): void {
    if (this.switched) return
    this.#switchAt(this.#options.shown())
    this.#end()
  }

  #oldOutput(frame: VideoFrame): void {
    this.#owed = this.#owed.filter((pts) => pts > frame.pts)
    if (this.#boundary !== undefined && frame.pts > this.#boundary) giveBack(frame.data)
    else this.#options.show(frame)
    this.#showHeld()
  }

  #newOutput(frame: VideoFrame): void {
    if (this.#boundary === undefined) {
      if (this.#prepared !== 'yes') {
        this.#prepare(frame)
        return
      }
      this.#switchAt(Math.max(frame.pts - 1, this.#options.shown()))
    }
    if (frame.pts <= this.#boundary!) giveBack(frame.data)
    else this.#held.push(frame)
    if (this.#held.length > MAX_HELD) this.#owed = []
    this.#showHeld()
  }

  #prepare(frame: VideoFrame): void {
    if (this.#prepared === 'no') {
      this.#prepared = 'soon'
      void this.#options.prepare(frame).finally(() => {
        this.#prepared = 'yes'
      })
    }
    giveBack(frame.data)
  }

  #switchAt(boundary: number): void {
    this.#boundary = boundary
    const shown = this.#options.shown()
    this.#owed = this.#owed.filter((pts) => pts > shown && pts <= boundary)
    this.#drain = setTimeout(() => this.#end(), DRAIN_MS)
    this.#options.onSwitch(boundary)
  }

  #showHeld(): void {
    if (!this.switched || this.#owed.length > 0) return
    for (const frame of this.#held.splice(0)) {
      this.#shown = true
      this.#options.show(frame)
    }
    if (this.#shown) this.#end()
  }

  #end(): void {
    clearTimeout(this.#drain)
    this.#owed = []
    for (const frame of this.#held.splice(0)) this.#options.show(frame)
    this.#finish()
  }
}
