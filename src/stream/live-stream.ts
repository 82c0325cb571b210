import type { Reader } from '../core/broadcast.ts'
import { nowMs } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { DEFAULT_COLOUR } from '../core/media/colour.ts'
import type { IngestSource } from '../core/media/endpoints.ts'
import { FramePool } from '../core/media/frame-pool.ts'
import { type Closed, type Context, type Resource, Scope, sleep } from '../core/resource.ts'
import type { Ffmpeg } from '../ffmpeg/probe.ts'
import type { ParamsReply, PipelineLease, PipelinePool } from '../pipeline/supervision/pool.ts'
import type { TrickleServer } from '../trickle/server/server.ts'
import { StreamEvents } from './events.ts'
import { FrameLoop } from './frame-loop.ts'
import { Input } from './input/input.ts'
import { InputView } from './input/input-view.ts'
import { LatencyTracker } from './latency.ts'
import { Audience, type View } from './output/audience.ts'
import { Output } from './output/output.ts'
import { type Still, StillCache } from './output/still.ts'
import { hashParams } from './params.ts'
import { type StreamStatus, streamStatus } from './status.ts'
import { StreamPipeline } from './stream-pipeline.ts'
import { Timeline } from './timeline.ts'
import { StreamChannels } from './trickle-channels.ts'

/** What every stream of a server shares. */
export type StreamDeps = {
  ffmpeg: Ffmpeg
  pool: PipelinePool
  trickle: TrickleServer
  bitrateKbps: number
  keyframeSeconds: number
  maxPixels: number
  maxFps: number
  /** How long a stream outlives its publisher, or its last viewer when it never had one. */
  lingerMs: number
  maxViewers: number
}

export type PublishOptions = {
  /** The server's default pipeline when absent. */
  pipeline?: string
  /** Initial params, over those of the pipeline. */
  params?: Record<string, unknown>
  /** Opens the publisher's media; called once everything else is ready for it. */
  open(context: Context): Promise<IngestSource>
}

/** One publisher's time on a stream. */
export type Publication = Resource

export type ParamsState = { pipeline: string; revision: number; hash: string; params: Record<string, unknown> }

const IDLE_SIZE = { width: 1280, height: 720 }
const STATUS_EVENT_MS = 10_000

/**
 * One stream from its publisher to its viewers. It may begin with either: a viewer who comes first sees a waiting
 * frame, and a publisher who leaves may come back within the linger time and finds params and viewers as they were.
 */
export class LiveStream implements Resource {
  readonly name: string
  readonly closed: Promise<Closed>
  readonly events = new StreamEvents()
  readonly startedAt = Date.now()
  /** When the newest frame came in, and when the pipeline gave its newest; milliseconds since 1970. */
  lastInputAt: number | undefined
  lastOutputAt: number | undefined
  readonly #deps: StreamDeps
  readonly #context: Context
  readonly #scope: Scope
  readonly #latency = new LatencyTracker()
  readonly #timeline = new Timeline()
  readonly #memory = { decoded: new FramePool(), processed: new FramePool() }
  readonly #output: Output
  readonly #inputView: InputView
  readonly #pipeline: StreamPipeline
  readonly #loop: FrameLoop
  readonly #channels: StreamChannels
  readonly #audience: Audience
  #input: Input | undefined
  #publication: Scope | undefined
  /** Settles when the newest publisher's last resource is gone. */
  #published: Promise<unknown> = Promise.resolve()
  readonly #stills: StillCache
  #linger: NodeJS.Timeout | undefined

  constructor(name: string, deps: StreamDeps, context: Context) {
    this.name = name
    this.#deps = deps
    const log = context.log.child({ stream: name })
    this.#scope = new Scope(context.signal)
    this.#context = { signal: this.#scope.signal, log }
    this.closed = this.#scope.closed
    const { ffmpeg, bitrateKbps, keyframeSeconds, maxViewers } = deps
    this.#stills = new StillCache(ffmpeg, this.#context)
    this.#audience = new Audience({
      stream: name,
      maxViewers,
      maxKbps: bitrateKbps,
      events: this.events,
      onLeave: () => this.#startLinger(),
    })
    this.#output = new Output(
      {
        ffmpeg,
        bitrateKbps,
        keyframeSeconds,
        latency: this.#latency,
        memory: this.#memory.processed,
        events: this.events,
      },
      this.#context,
    )
    this.#inputView = new InputView({ ffmpeg, bitrateKbps, keyframeSeconds, events: this.events }, this.#context)
    this.#pipeline = new StreamPipeline(
      {
        name,
        pool: deps.pool,
        events: this.events,
        allocate: this.#memory.processed.take,
        onOutput: (frame) => {
          this.lastOutputAt = Date.now()
          this.#loop.output(frame)
        },
      },
      this.#context,
    )
    this.#loop = new FrameLoop({
      timeline: this.#timeline,
      latency: this.#latency,
      write: (frame, made) => this.#output.write(frame, made),
      inputMemory: this.#memory.decoded,
      idleSize: IDLE_SIZE,
      watched: () => this.#audience.count('output') > 0,
    })
    // Newest first: frames stop, then the encoder and with it the readers, then the pipeline is given back.
    this.#scope.defer(() => {
      clearTimeout(this.#linger)
      this.events.emit({
        type: 'ended',
        why: this.#scope.reason?.why ?? 'ended',
        ...(this.#scope.reason?.error && { error: this.#scope.reason.error.toJSON() }),
      })
    })
    this.#scope.defer(() => this.#pipeline.close())
    this.#scope.defer(() => this.#published)
    this.#channels = this.#scope.use(new StreamChannels(this, deps.trickle, this.#context))
    this.#scope.use(this.#output)
    this.#scope.use(this.#inputView)
    this.#scope.defer(() => this.#loop.stop())
    this.#scope.spawn(async () => await this.#output.closed)
    this.#scope.spawn((signal) => this.#tellStatus(signal))
    this.#scope.spawn((signal) => this.#audience.followBandwidth((kbps) => this.#setBitrate(kbps), signal))
    this.#startLinger()
  }

  /** True from the moment that it ends; it takes nobody any more, and its name is free when it is closed. */
  get ending(): boolean {
    return this.#scope.signal.aborted
  }

  get publishing(): boolean {
    return this.#publication !== undefined
  }

  /** True when a publisher's media flows. */
  get live(): boolean {
    return this.#input !== undefined
  }

  /** Of the output and of the input. */
  get viewers(): number {
    return this.#audience.size
  }

  /** @throws AppError `conflict` while there is a publisher. */
  checkPublish(): void {
    if (!this.#publication) return
    const message = `the stream "${this.name}" has a publisher already; stop that one first or choose another name`
    throw new AppError('conflict', message)
  }

  /**
   * Takes a publisher. Resolves when its media flows.
   * @throws AppError `conflict` while there is another one; what the pipeline or the media object to.
   */
  async publish(options: PublishOptions): Promise<Publication> {
    this.checkPublish()
    const publication = new Scope(this.#scope.signal)
    this.#publication = publication
    this.#published = publication.closed
    clearTimeout(this.#linger)
    publication.defer(() => {
      this.#publication = undefined
      this.#input = undefined
      this.#loop.use(undefined)
      this.#startLinger()
    })
    try {
      const began = nowMs()
      const lease = await this.#pipeline.use(options.pipeline, options.params)
      const heldUpMs = nowMs() - began
      const source = publication.use(await options.open({ signal: publication.signal, log: this.#context.log }))
      this.#start(publication, source, lease, heldUpMs)
      return publication
    } catch (thrown) {
      await publication.close()
      throw AppError.from(thrown)
    }
  }

  /** Everything that leaves the stream, or a small view of what comes in; from the next keyframe on. */
  subscribe(view: View = 'output'): Reader {
    return this.#way(view).subscribe()
  }

  /**
   * Counts a viewer until the returned function is called. `availableKbps` tells what the viewer's network takes.
   * @throws AppError `capacity` beyond the limit of viewers.
   */
  admitViewer(view: View = 'output', availableKbps?: () => number | undefined): () => void {
    return this.#audience.admit(view, availableKbps)
  }

  /** How long viewers should hold frames back: as long as the publisher's bursts are, 0 for an even one. */
  playoutDelayMs(view: View): number {
    return this.#way(view).playoutDelayMs
  }

  requestKeyframe(view: View): void {
    this.#way(view).requestKeyframe()
  }

  /** The newest output frame as a JPEG. */
  async still(): Promise<Still> {
    const frame = this.#output.lastFrame
    if (!frame) throw new AppError('not-found', `the stream "${this.name}" has no frame yet`, { retryable: true })
    return await this.#stills.get(frame)
  }

  get params(): ParamsState {
    const { pipeline, params } = this.#pipeline.need()
    return { pipeline, revision: params.revision, hash: hashParams(params.value), params: params.value }
  }

  /** @throws AppError as the pipeline answers; nothing has changed then. */
  async updateParams(
    mode: 'merge' | 'replace',
    value: Record<string, unknown>,
  ): Promise<ParamsReply & { hash: string }> {
    const reply = await this.#pipeline.need().updateParams(mode, value)
    return { ...reply, hash: hashParams(reply.params) }
  }

  status(): StreamStatus {
    return streamStatus({
      name: this.name,
      startedAt: this.startedAt,
      publishing: this.publishing,
      viewers: this.#audience.count('output'),
      inputViewers: this.#audience.count('input'),
      trickleSegments: this.#channels.segments,
      late: this.#loop.late,
      lease: this.#pipeline.lease,
      ingest: this.#input?.stats(),
      output: this.#output.stats(),
      inputEncoderPid: this.#inputView.encoderPid,
      latency: this.#latency.report(),
    })
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #way(view: View): Output | InputView {
    return view === 'input' ? this.#inputView : this.#output
  }

  #start(publication: Scope, source: IngestSource, lease: PipelineLease, heldUpMs: number): void {
    if (!source.tracks.some((track) => track.kind === 'video')) {
      throw new AppError(
        'unsupported-media',
        'the stream has audio but no frame; Millrace needs a video track (H.264, HEVC or VP8)',
      )
    }
    const { ffmpeg, maxPixels, maxFps } = this.#deps
    const { format = 'yuv420p', width, height } = lease.input
    const size = width && height ? { width, height } : undefined
    const input = new Input(
      {
        ffmpeg,
        source,
        timeline: this.#timeline,
        latency: this.#latency,
        events: this.events,
        heldUpMs,
        format,
        ...(size && { size }),
        maxPixels,
        maxFps,
        memory: {
          // Read to where the pipeline sees it, when it has room.
          take: (bytes) => lease.take(bytes) ?? this.#memory.decoded.take(bytes),
          give: this.#memory.decoded.give,
        },
        onFrame: (frame) => {
          this.lastInputAt = Date.now()
          // First, for the loop gives the memory away.
          this.#inputView.write(frame)
          this.#loop.input(frame)
        },
        onAudio: (packet) => this.#output.writeAudio(packet),
        onColour: (colour) => {
          this.#output.colour = this.#inputView.colour = colour ?? DEFAULT_COLOUR
        },
      },
      this.#context,
    )
    this.#input = input
    this.#loop.use(lease)
    this.events.emit({ type: 'publisher', event: 'joined', kind: source.kind })
    this.#context.log.info({ kind: source.kind, tracks: source.tracks, pipeline: lease.pipeline }, 'publisher joined')
    publication.spawn(async (signal) => {
      const closed = await input.run(signal)
      this.#context.log.info({ kind: source.kind, why: closed.why, err: closed.error }, 'publisher left')
      this.events.emit({
        type: 'publisher',
        event: 'left',
        kind: source.kind,
        reason: closed.error?.message ?? closed.why,
      })
      return closed
    })
  }

  /** Begins to wait for a publisher, anew; the stream ends when none comes. */
  #startLinger(): void {
    clearTimeout(this.#linger)
    if (this.#publication || this.#scope.signal.aborted) return
    this.#linger = setTimeout(() => {
      // Without a pipeline there was never a publisher: the last of those who wait for one ends it.
      if (this.#pipeline.lease || this.viewers === 0) this.#scope.end({ why: 'ended' })
    }, this.#deps.lingerMs)
  }

  async #tellStatus(signal: AbortSignal): Promise<Closed | undefined> {
    for (;;) {
      await sleep(STATUS_EVENT_MS, signal)
      this.events.emit({ type: 'status', status: this.status() })
    }
  }

  async #setBitrate(kbps: number): Promise<void> {
    try {
      await this.#output.setBitrate(kbps)
    } catch (err) {
      this.#context.log.warn({ err, kbps }, 'the bitrate could not be changed')
    }
  }
}
