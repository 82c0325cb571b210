import type { Reader } from '../../core/broadcast.ts'
import { type Colour, DEFAULT_COLOUR } from '../../core/media/colour.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import { FramePool } from '../../core/media/frame-pool.ts'
import { type Closed, type Context, type Resource, Scope } from '../../core/resource.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import type { StreamEvents } from '../events.ts'
import { Output } from '../output/output.ts'

export type InputViewOptions = {
  ffmpeg: Ffmpeg
  /** Of the stream's output; the view takes no more, and less as a rule. */
  bitrateKbps: number
  /** Longest distance between keyframes. */
  keyframeSeconds: number
  events: StreamEvents
}

const MAX_PIXELS = 640 * 360
const MAX_KBPS = 800
/** A viewer who reloads their page comes back within this time, and finds the encoder running. */
const KEEP_MS = 2000

type Open = { output: Output; memory: FramePool }

/**
 * What comes in, for those who want to see it beside the output: the frames that the pipeline is given, small, through
 * an encoder of their own. That runs only while somebody watches, and what happens to it is no matter of the stream.
 */
export class InputView implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: InputViewOptions
  readonly #context: Context
  readonly #scope: Scope
  /** Those that are closing, too. */
  readonly #outputs = new Set<Output>()
  #open: Open | undefined
  #colour = DEFAULT_COLOUR
  #closing: NodeJS.Timeout | undefined

  constructor(options: InputViewOptions, context: Context) {
    this.#options = options
    this.#scope = new Scope(context.signal)
    this.#context = { signal: this.#scope.signal, log: context.log }
    this.closed = this.#scope.closed
    this.#scope.defer(() => Promise.all([...this.#outputs].map((output) => output.close())))
    this.#scope.defer(() => clearTimeout(this.#closing))
  }

  /** H.264 from the next keyframe on, without audio; nothing while there is no publisher. */
  subscribe(): Reader {
    clearTimeout(this.#closing)
    this.#open ??= this.#start()
    return this.#open.output.subscribe()
  }

  /** Shows a frame, which it copies, to those who watch; free of cost while nobody does. */
  write(frame: VideoFrame): void {
    const open = this.#open
    if (!open || open.output.readers === 0) return
    const data = open.memory.take(frame.data.length)
    data.set(frame.data)
    open.output.write({ ...frame, data })
  }

  requestKeyframe(): void {
    this.#open?.output.requestKeyframe()
  }

  set colour(colour: Colour) {
    this.#colour = colour
    if (this.#open) this.#open.output.colour = colour
  }

  get playoutDelayMs(): number {
    return this.#open?.output.playoutDelayMs ?? 0
  }

  /** Of the encoder, while one runs. */
  get encoderPid(): number | undefined {
    return this.#open?.output.stats().encoderPid
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #start(): Open {
    const { ffmpeg, bitrateKbps, keyframeSeconds, events } = this.#options
    const memory = new FramePool()
    const output: Output = new Output(
      {
        ffmpeg,
        bitrateKbps: Math.min(MAX_KBPS, bitrateKbps),
        keyframeSeconds,
        maxPixels: MAX_PIXELS,
        background: true,
        source: 'input-view',
        memory,
        events,
        onUnread: () => this.#closeSoon(output),
      },
      this.#context,
    )
    output.colour = this.#colour
    this.#outputs.add(output)
    // One that fails for good takes its viewers along; who comes again finds a new one.
    void output.closed.then(() => {
      this.#outputs.delete(output)
      if (this.#open?.output === output) this.#open = undefined
    })
    return { output, memory }
  }

  #closeSoon(output: Output): void {
    clearTimeout(this.#closing)
    if (this.#scope.signal.aborted || this.#open?.output !== output) return
    this.#closing = setTimeout(() => {
      if (this.#open?.output === output) this.#open = undefined
      void output.close()
    }, KEEP_MS)
  }
}
