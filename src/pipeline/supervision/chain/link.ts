import { type Colour, DEFAULT_COLOUR } from '../../../core/media/colour.ts'
import { frameBytes, sameShape, type VideoFrame } from '../../../core/media/frame.ts'
import type { FramePool } from '../../../core/media/frame-pool.ts'
import type { Context } from '../../../core/resource.ts'
import { Converter } from '../../convert/converter.ts'
import type { WantedInput } from '../lease/input-form.ts'
import type { PipelineLease } from '../lease/lease.ts'

/** A burst that is processed within a frame interval or two passes complete; beyond it, only the newest frames pass. */
const MAX_WAITING = 3

/**
 * Passes frames from one stage of a chain to the next. Frames that the next one wants in another form are converted,
 * one at a time.
 */
export class Link {
  /** The stage that gets the frames; undefined if the following stages process audio only. */
  next: PipelineLease | undefined
  /** Outputs of the previous stage that the next one never got. */
  lost = 0
  readonly #memory: FramePool
  readonly #colourAt: (pts: number) => Colour
  readonly #converter: Converter
  readonly #context: Context
  #converting = false
  readonly #waiting: VideoFrame[] = []

  /** `memory` takes back the memory of outputs. */
  constructor(memory: FramePool, colourAt: ((pts: number) => Colour) | undefined, context: Context) {
    this.#memory = memory
    this.#colourAt = colourAt ?? (() => DEFAULT_COLOUR)
    this.#context = context
    this.#converter = new Converter(context)
  }

  /** Frames that are being converted, or wait for it. */
  get inside(): number {
    return Number(this.#converting) + this.#waiting.length
  }

  /** Takes an output of the previous stage, with its memory. */
  pass(frame: VideoFrame): void {
    const form = formFor(this.next!.input, frame)
    if (sameShape(form, frame) && !this.#converting) {
      this.#give(frame)
      return
    }
    this.#waiting.push(frame)
    if (this.#waiting.length > MAX_WAITING) this.#lose(this.#waiting.shift()!)
    if (!this.#converting) void this.#convert()
  }

  async close(): Promise<void> {
    for (const frame of this.#waiting.splice(0)) this.#lose(frame)
    await this.#converter.close()
  }

  async #convert(): Promise<void> {
    this.#converting = true
    for (let frame = this.#waiting.shift(); frame; frame = this.#waiting.shift()) {
      const form = formFor(this.next!.input, frame)
      if (sameShape(form, frame)) {
        this.#give(frame)
        continue
      }
      const target = this.next!.take(frameBytes(form.format, form.width, form.height))
      if (!target) {
        this.#lose(frame)
        continue
      }
      try {
        await this.#converter.convert(frame, form, target, this.#colourAt(frame.pts).matrix)
        this.#memory.give(frame.data)
        this.#give({ ...form, data: target, pts: frame.pts })
      } catch (err) {
        this.#context.log.debug({ err }, 'a frame was lost between two stages')
        this.#memory.give(target)
        this.#lose(frame)
      }
    }
    this.#converting = false
  }

  #give(frame: VideoFrame): void {
    if (!this.next!.forward(frame)) this.lost++
    this.#memory.give(frame.data)
  }

  #lose(frame: VideoFrame): void {
    this.lost++
    this.#memory.give(frame.data)
  }
}

/** The form in which the next stage gets a frame; the default format is the decoder's. */
function formFor({ format = 'yuv420p', width, height }: WantedInput, frame: VideoFrame) {
  return { format, width: width ?? frame.width, height: height ?? frame.height }
}
