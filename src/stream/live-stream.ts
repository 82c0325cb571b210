import type { Reader, ReaderOptions } from '../core/broadcast.ts'
import { nowMs } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { IngestSource } from '../core/media/endpoints.ts'
import type { ViewerCodec } from '../core/media/packet.ts'
import { type Closed, type Context, type Resource, Scope } from '../core/resource.ts'
import type { ParamsReply, PipelineLease } from '../pipeline/supervision/pool/pool.ts'
import type { TrickleServer } from '../trickle/server/server.ts'
import { StreamEvents } from './events.ts'
import { followStatus, StreamHistory } from './history.ts'
import { checkVideo, type Publication, type PublishOptions, tellPublisher } from './input/publication.ts'
import { type MediaDeps, MediaPath } from './media-path.ts'
import { Audience, type View, type Viewer } from './output/audience.ts'
import { StreamData } from './output/data.ts'
import { type Still, StillCache } from './output/still.ts'
import type { ParamsState, SwapOptions } from './pipeline/stream-pipeline.ts'
import type { PullStatus } from './remote/pull-status.ts'
import { type StreamStatus, streamStatus } from './status.ts'
import { StreamChannels } from './trickle-channels.ts'

/** What all streams of a server share. */
export type StreamDeps = MediaDeps & {
  trickle: TrickleServer
  /** How long a stream outlives its publisher, or its last viewer if it never had one. */
  lingerMs: number
  maxViewers: number
  /** Limit of one message that changes params. */
  maxBodyBytes: number
}

/**
 * One stream from its publisher to its viewers. Either may come first: an early viewer sees the overlay, and a
 * publisher that leaves may return within the linger time and finds params and viewers unchanged.
 */
export class LiveStream implements Resource {
  readonly name: string
  readonly closed: Promise<Closed>
  readonly events = new StreamEvents()
  readonly data = new StreamData()
  readonly startedAt = Date.now()
  readonly history = new StreamHistory()
  readonly #deps: StreamDeps
  readonly #context: Context
  readonly #scope: Scope
  readonly #path: MediaPath
  readonly #channels: StreamChannels
  readonly #audience: Audience
  #publication: Scope | undefined
  #accepted: Scope | undefined
  /** Settles when the newest publisher's last resource is gone. */
  #published: Promise<unknown> = Promise.resolve()
  readonly #stills: StillCache
  #linger: NodeJS.Timeout | undefined
  #pull: (() => PullStatus) | undefined

  constructor(name: string, deps: StreamDeps, context: Context) {
    this.name = name
    this.#deps = deps
    const log = context.log.child({ stream: name })
    this.#scope = new Scope(context.signal)
    this.#context = { signal: this.#scope.signal, log }
    this.closed = this.#scope.closed
    const { bitrateKbps, maxViewers } = deps
    this.#stills = new StillCache(deps.ffmpeg, this.#context)
    this.#audience = new Audience({
      stream: name,
      maxViewers,
      maxKbps: bitrateKbps,
      events: this.events,
      onLeave: () => this.#startLinger(),
    })
    this.#path = new MediaPath(
      { ...deps, name, events: this.events, data: this.data, watched: () => this.#audience.count('output') > 0 },
      this.#context,
    )
    // Newest first: frames stop, then the encoder and with it the readers, then the pipeline is released.
    this.#scope.defer(() => {
      clearTimeout(this.#linger)
      const { why = 'ended', error } = this.#scope.reason ?? {}
      this.events.emit({ type: 'ended', why, ...(error && { error: error.toJSON() }) })
    })
    this.#scope.defer(() => this.#path.pipeline.close())
    this.#scope.defer(() => this.data.end())
    this.#scope.defer(() => this.#published)
    try {
      this.#channels = this.#scope.use(new StreamChannels(this, deps.trickle, this.#context))
    } catch (thrown) {
      this.#path.stop()
      void this.#scope.close()
      throw thrown
    }
    this.#scope.use(this.#path.ways)
    this.#scope.defer(() => this.#path.stop())
    this.#scope.spawn(async () => await this.#path.ways.closed)
    this.#scope.spawn((signal) => followStatus(this, signal))
    const setBitrate = (kbps: number, codec: ViewerCodec) => this.#path.ways.setBitrate(codec, kbps)
    this.#scope.spawn((signal) => this.#audience.followBandwidth(setBitrate, signal))
    this.#startLinger()
  }

  /** True as soon as it begins to end: it takes nobody any more, and its name is free once it is closed. */
  get ending(): boolean {
    return this.#scope.signal.aborted
  }

  get publishing(): boolean {
    return this.#publication !== undefined
  }

  /** True while it has a publisher whose pipeline request was accepted, whether or not its media flows. */
  get accepted(): boolean {
    return this.#publication !== undefined && this.#accepted === this.#publication
  }

  get maxBodyBytes(): number {
    return this.#deps.maxBodyBytes
  }

  /** True until its first publisher. */
  get waiting(): boolean {
    return !this.#publication && !this.#path.pipeline.lease
  }

  /** Arrival of the newest frame, in ms since 1970. */
  get lastInputAt(): number | undefined {
    return this.#path.lastInputAt
  }

  /** The pipeline's newest output, in ms since 1970. */
  get lastOutputAt(): number | undefined {
    return this.#path.lastOutputAt
  }

  /** True once a frame of the pipeline can be sent. */
  get processed(): boolean {
    return this.#path.processed
  }

  /** True while a publisher's media flows. */
  get live(): boolean {
    return this.#path.live
  }

  /** Viewers of the output and of the input. */
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
   * @throws AppError `conflict` while there is another publisher; errors of the pipeline or the media.
   */
  async publish(options: PublishOptions): Promise<Publication> {
    this.checkPublish()
    const publication = new Scope(this.#scope.signal)
    this.#publication = publication
    this.#published = publication.closed
    clearTimeout(this.#linger)
    publication.defer(() => {
      this.#publication = undefined
      this.#path.leave()
      this.#startLinger()
    })
    try {
      const began = nowMs()
      const lease = await this.#path.pipeline.use(options.pipeline, options.params)
      this.#accepted = publication
      const heldUpMs = nowMs() - began
      const inside = { signal: publication.signal, log: this.#context.log }
      const source = publication.use(await options.open(inside, { audioAlone: !lease.takesVideo }))
      this.#start(publication, source, lease, heldUpMs)
      return publication
    } catch (thrown) {
      await publication.close()
      throw AppError.from(thrown)
    }
  }

  /** Keeps the stream without a publisher, for a pull source that is retried, until the returned function is called. */
  keep(pull: () => PullStatus): () => void {
    this.#pull = pull
    clearTimeout(this.#linger)
    return () => {
      this.#pull = undefined
      this.#startLinger()
    }
  }

  /** Everything that leaves the stream, or the small input view; from the next keyframe on. */
  subscribe(view: View = 'output', codec: ViewerCodec = 'h264', options?: ReaderOptions): Reader {
    return this.#path.ways.subscribe(view, codec, options)
  }

  /**
   * Counts a viewer, in H.264 by default, until the returned function is called.
   * @throws AppError `capacity` beyond the limit of viewers.
   */
  admitViewer(view: View = 'output', viewer: Partial<Viewer> = {}): () => void {
    return this.#audience.admit(view, viewer.availableKbps, viewer.codec, viewer.sent)
  }

  /** Makes the bitrate follow the network of a push target, until the returned function is called. */
  followTarget(availableKbps: Viewer['availableKbps']): () => void {
    return this.#audience.followTarget(availableKbps)
  }

  /** How long viewers should buffer frames, in ms: the length of the publisher's bursts, 0 for an even stream. */
  playoutDelayMs(view: View, codec: ViewerCodec): number {
    return this.#path.ways.playoutDelayMs(view, codec)
  }

  requestKeyframe(view: View, codec: ViewerCodec): void {
    this.#path.ways.requestKeyframe(view, codec)
  }

  /** The newest output frame as a JPEG. */
  async still(): Promise<Still> {
    const frame = this.#path.ways.output.lastFrame
    if (!frame) throw new AppError('not-found', `the stream "${this.name}" has no frame yet`, { retryable: true })
    return await this.#stills.get(frame, this.#path.colours.at(frame.pts))
  }

  get params(): ParamsState {
    return this.#path.pipeline.params
  }

  /** @throws AppError as the pipeline answers; then nothing has changed. */
  updateParams(mode: 'merge' | 'replace', value: Record<string, unknown>): Promise<ParamsReply & { hash: string }> {
    return this.#path.pipeline.updateParams(mode, value)
  }

  /**
   * Another pipeline, or the same one with its code reloaded, takes over between two frames.
   * @throws AppError with the reason if it fails; the previous one then stays on air.
   */
  swapPipeline(pipeline: string, options?: SwapOptions): Promise<ParamsState & { ignored: string[] }> {
    return this.#path.pipeline.swap(pipeline, options)
  }

  status(): StreamStatus {
    return streamStatus({
      name: this.name,
      startedAt: this.startedAt,
      history: this.history,
      publishing: this.publishing,
      pull: this.#pull?.() ?? null,
      viewers: this.#audience.count('output'),
      inputViewers: this.#audience.count('input'),
      trickleSegments: this.#channels.segments,
      data: this.data.counts,
      vp8Viewers: this.#audience.count('output', 'vp8'),
      sent: this.#audience.sent(),
      ...this.#path.stats(),
    })
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #start(publication: Scope, source: IngestSource, lease: PipelineLease, heldUpMs: number): void {
    const hasVideo = checkVideo(source, lease)
    const input = this.#path.open(source, lease, hasVideo, heldUpMs)
    const told = { events: this.events, log: this.#context.log, pipeline: lease.pipeline }
    publication.spawn((signal) => tellPublisher(source, told, () => input.run(signal)))
  }

  /** Starts waiting for a publisher; the stream ends if none comes. */
  #startLinger(): void {
    clearTimeout(this.#linger)
    if (this.#publication || this.#pull || this.#scope.signal.aborted) return
    this.#linger = setTimeout(() => {
      // Without a pipeline there never was a publisher: the last waiting viewer ends the stream.
      if (this.#path.pipeline.lease || this.viewers === 0) this.#scope.end({ why: 'ended' })
    }, this.#deps.lingerMs)
  }
}
