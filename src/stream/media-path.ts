import { ColourTimeline } from '../core/media/colour.ts'
import type { IngestSource } from '../core/media/endpoints.ts'
import { FramePool } from '../core/media/frame-pool.ts'
import type { Context } from '../core/resource.ts'
import type { Ffmpeg } from '../ffmpeg/probe.ts'
import type { PipelineLease, PipelinePool } from '../pipeline/supervision/pool/pool.ts'
import { StreamAudio } from './audio/stream-audio.ts'
import type { StreamEvents } from './events.ts'
import { FrameLoop } from './frame-loop.ts'
import { formOf } from './input/form.ts'
import { Input } from './input/input.ts'
import { LatencyTracker } from './latency.ts'
import type { StreamData } from './output/data.ts'
import { StreamPipeline } from './pipeline/stream-pipeline.ts'
import { Timeline } from './timeline.ts'
import { WaysOut } from './ways-out.ts'

export type MediaDeps = {
  ffmpeg: Ffmpeg
  pool: PipelinePool
  bitrateKbps: number
  keyframeSeconds: number
  maxPixels: number
  maxFps: number
}

export type MediaPathOptions = MediaDeps & {
  /** The stream's name. */
  name: string
  events: StreamEvents
  data: StreamData
  /** Whether somebody watches the output. */
  watched(): boolean
}

const IDLE_SIZE = { width: 1280, height: 720 }

/**
 * The path of a stream's media: a publisher's packets are decoded, pass through the frame loop and the pipeline, and
 * are encoded for viewers, with audio beside them. The owner closes `ways` and `pipeline`, in that order.
 */
export class MediaPath {
  /** Arrival of the newest frame, and the pipeline's newest output, in ms since 1970. */
  lastInputAt: number | undefined
  lastOutputAt: number | undefined
  readonly ways: WaysOut
  readonly pipeline: StreamPipeline
  readonly colours = new ColourTimeline()
  readonly #options: MediaPathOptions
  readonly #context: Context
  readonly #latency = new LatencyTracker()
  readonly #timeline = new Timeline()
  readonly #memory = { decoded: new FramePool(), processed: new FramePool() }
  readonly #audio: StreamAudio
  readonly #loop: FrameLoop
  #input: Input | undefined
  #firstOutputPts = Number.POSITIVE_INFINITY

  constructor(options: MediaPathOptions, context: Context) {
    this.#options = options
    this.#context = context
    const { name, ffmpeg, pool, bitrateKbps, keyframeSeconds, events, data, watched } = options
    const colourAt = (pts: number) => this.colours.at(pts)
    this.ways = new WaysOut(
      {
        ...{ ffmpeg, bitrateKbps, keyframeSeconds, events, latency: this.#latency, colourAt },
        memory: this.#memory.processed,
        requestSourceKeyframe: () => this.#input?.requestKeyframe(),
      },
      context,
    )
    this.#audio = new StreamAudio({
      ffmpeg,
      events,
      pipeline: () => this.pipeline.lease,
      send: (packet) => this.ways.writeAudio(packet),
    })
    this.pipeline = new StreamPipeline(
      {
        ...{ name, pool, events, colourAt },
        allocate: this.#memory.processed.take,
        onOutput: (frame) => {
          this.lastOutputAt = Date.now()
          this.#firstOutputPts = Math.min(this.#firstOutputPts, frame.pts)
          this.#loop.output(frame)
        },
        onAudio: (frame, lease) => this.#audio.output(frame, lease),
        onLost: (lease) => this.#audio.abandon(lease),
        onData: (pts, value, lost) => data.publish(pts, value, lost),
        shown: () => this.#loop.lastPts,
        prepare: (frame) => this.ways.prepare(frame),
        openBeside: async (lease) =>
          this.#input?.openBeside(formOf(lease.input), {
            take: (bytes) => lease.take(bytes) ?? this.#memory.decoded.take(bytes),
            onFrame: (frame) => {
              lease.offer(frame)
              this.#memory.decoded.give(frame.data)
            },
          }),
        onSwap: (lease) => {
          if (this.#input) this.#loop.use(lease, this.#loop.hasVideo)
          this.#input?.reformed()
        },
        onParams: () => this.#input?.reformed(),
      },
      context,
    )
    this.#loop = new FrameLoop({
      timeline: this.#timeline,
      latency: this.#latency,
      write: (frame, made) => {
        this.#audio.lipSync.frameOut(frame.pts)
        this.ways.writeOutput(frame, made)
      },
      inputMemory: this.#memory.decoded,
      idleSize: IDLE_SIZE,
      watched,
    })
  }

  /** True while a publisher's media flows. */
  get live(): boolean {
    return this.#input !== undefined
  }

  /** True once an output of the pipeline was encoded. */
  get processed(): boolean {
    return this.ways.output.lastPacketPts >= this.#firstOutputPts
  }

  /**
   * Connects a publisher's media to the path; its `run` reads it. `heldUpMs`: how long the publisher waited until then.
   */
  open(source: IngestSource, lease: PipelineLease, hasVideo: boolean, heldUpMs: number): Input {
    const { ffmpeg, maxPixels, maxFps, events } = this.#options
    const input = new Input(
      {
        ...{ ffmpeg, source, events, heldUpMs, maxPixels, maxFps, timeline: this.#timeline, latency: this.#latency },
        form: () => formOf(this.pipeline.need().input),
        memory: {
          // Decodes directly into the pipeline's memory, if it has room.
          take: (bytes) => this.pipeline.lease?.take(bytes) ?? this.#memory.decoded.take(bytes),
          give: this.#memory.decoded.give,
        },
        onFrame: (frame) => {
          this.lastInputAt = Date.now()
          // Before the loop, which gives the memory away.
          this.ways.writeInput(frame)
          this.#audio.lipSync.frameIn(frame.pts)
          this.pipeline.input(frame)
          this.#loop.input(frame)
        },
        onVideo: (packet) => this.ways.sourceVideo(packet),
        openAudio: (context) => this.#audio.open(context),
        onAudio: (pts) => {
          this.#audio.lipSync.audioIn(pts)
          if (this.#loop.hasVideo) return
          this.lastInputAt = Date.now()
          this.#timeline.reached(pts)
        },
        onColour: (colour, from) => this.colours.change(from, colour),
        onFailing: (failing) => this.pipeline.inputFailing(failing),
      },
      this.#context,
    )
    this.#input = input
    this.#loop.use(lease, hasVideo)
    return input
  }

  /** The publisher has left: the loop makes frames by its own clock. */
  leave(): void {
    this.#input = undefined
    this.#loop.use(undefined)
  }

  /** Stops making frames. */
  stop(): void {
    this.#loop.stop()
  }

  stats() {
    return {
      ...this.ways.stats(),
      ingest: this.#input?.stats(),
      late: this.#loop.late,
      lease: this.pipeline.lease,
      losses: this.pipeline.losses,
      audio: this.#audio.stats(),
      latency: this.#latency.report(),
    }
  }
}
