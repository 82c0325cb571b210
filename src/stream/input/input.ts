import { nowMs, TICKS_PER_SECOND } from '../../core/clock.ts'
import { RateMeter } from '../../core/counters.ts'
import { AppError } from '../../core/errors.ts'
import type { Colour } from '../../core/media/colour.ts'
import type { IngestSource } from '../../core/media/endpoints.ts'
import type { PixelFormat, VideoFrame } from '../../core/media/frame.ts'
import type { FrameMemory } from '../../core/media/frame-pool.ts'
import type { AudioTrack, EncodedPacket, VideoTrack } from '../../core/media/packet.ts'
import { type Closed, type Context, deadline, Scope, sleep } from '../../core/resource.ts'
import { type AudioTranscoder, openAudioTranscoder } from '../../ffmpeg/audio.ts'
import { openVideoDecoder, type VideoDecoder } from '../../ffmpeg/decoder.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import type { StreamEvents } from '../events.ts'
import type { LatencyTracker } from '../latency.ts'
import { fitWithin, type Size } from '../size.ts'
import type { Timeline } from '../timeline.ts'
import { GopCache } from './gop-cache.ts'
import { PublisherJumps } from './publisher-jumps.ts'
import { Pace } from './real-time-pacing.ts'
import { sourceColour } from './source-colour.ts'

export type InputOptions = {
  ffmpeg: Ffmpeg
  source: IngestSource
  timeline: Timeline
  latency: LatencyTracker
  events: StreamEvents
  /** How long the publisher waited until it was read, in milliseconds. */
  heldUpMs: number
  /** What the pipeline wants to see; the source's own size when absent. */
  format: PixelFormat
  size?: Size
  /** Larger frames are scaled down to this many pixels. */
  maxPixels: number
  /** Faster frames are thinned to this rate. */
  maxFps: number
  onFrame(frame: VideoFrame): void
  /** Where the memory of frames comes from; those that are not handed on are given back. */
  memory: FrameMemory
  onAudio(packet: EncodedPacket): void
  /** What the source says of its colours, before the first frame of each decoder. */
  onColour(colour: Colour | undefined): void
}

/** A decoder (or audio transcoder) that fails this often without a second of work between ends the publication. */
const MAX_FAILURES = 5
/** How long the last frames of a publisher that has ended may take to come out. */
const FLUSH_MS = 2000

/** The way in: one publisher's packets, put on the stream's clock, decoded to frames; its audio turned to Opus. */
export class Input {
  readonly #options: InputOptions
  readonly #context: Context
  readonly #gop = new GopCache()
  readonly #pace: Pace
  readonly #jumps: PublisherJumps
  readonly #frames = new RateMeter()
  readonly #bytes = new RateMeter()
  #track: VideoTrack | undefined
  #audioTrack: AudioTrack | undefined
  #decoder: VideoDecoder | undefined
  #decoderBusy = false
  #waitingForKey = false
  #transcoder: AudioTranscoder | undefined
  #transcoderBusy = false
  #scope: Scope | undefined
  #failures = { decoder: 0, audio: 0 }
  #restarts = 0
  #lastDecoded = Number.NEGATIVE_INFINITY
  #lastAudio = Number.NEGATIVE_INFINITY
  #nextPts = Number.NEGATIVE_INFINITY
  #thinned = 0
  #lost = 0
  #scaledTo: Size | undefined

  constructor(options: InputOptions, context: Context) {
    this.#options = options
    this.#context = context
    this.#pace = new Pace(options.heldUpMs)
    const { timeline } = options
    this.#jumps = new PublisherJumps((first) => {
      timeline.join(first)
      return timeline.place(0)
    })
  }

  /** Lives as long as the publisher publishes. */
  async run(signal: AbortSignal): Promise<Closed> {
    const { source } = this.#options
    await using scope = new Scope(signal)
    this.#scope = scope
    scope.spawn(async () => {
      for await (const packet of source.packets) {
        const offset = this.#place(packet)
        // Audio that is ahead of its frame, or behind, must not set the pace.
        if (packet.track.kind === 'video') await this.#pace.turn((packet.dts ?? packet.pts) + offset, scope.signal)
        if (scope.signal.aborted) break
        this.#packet(packet, offset)
      }
      // Not for the source: its owner closes it when this is over.
      if (scope.signal.aborted) return { why: 'stopped' }
      await this.#flush()
      return await source.closed
    })
    return await scope.closed
  }

  stats() {
    const { source } = this.#options
    const { lost } = source.stats()
    return {
      kind: source.kind,
      codec: this.#track?.codec ?? null,
      width: this.#track?.width ?? 0,
      height: this.#track?.height ?? 0,
      fps: this.#frames.perSecond(),
      kbps: (this.#bytes.perSecond() * 8) / 1000,
      lost: lost + this.#lost,
      thinned: this.#thinned,
      scaledTo: this.#scaledTo ?? null,
      audio: this.#audioTrack
        ? {
            codec: this.#audioTrack.codec,
            sampleRate: this.#audioTrack.sampleRate,
            channels: this.#audioTrack.channels,
          }
        : null,
      decoderRestarts: this.#restarts,
      decoderPid: this.#decoder?.pid,
    }
  }

  #packet(packet: EncodedPacket, offset: number): void {
    this.#bytes.add(packet.data.length)
    const pts = packet.pts + offset
    const placed = packet.dts === undefined ? { ...packet, pts } : { ...packet, pts, dts: packet.dts + offset }
    if (packet.track.kind === 'video') this.#video(placed as EncodedPacket<VideoTrack>)
    else this.#audio(placed as EncodedPacket<AudioTrack>)
  }

  /** Where the publisher stands on the stream's clock, from when it begins on and over the jumps of its own clock. */
  #place({ track, pts, dts }: EncodedPacket): number {
    const ordered = track.kind === 'audio' || this.#options.source.kind !== 'whip'
    const { offset, jumped } = this.#jumps.place(track.kind, dts ?? pts, ordered)
    if (jumped !== undefined)
      this.#context.log.info({ ticks: jumped, track: track.kind }, 'time stamps of the publisher jumped')
    return offset
  }

  #video(packet: EncodedPacket<VideoTrack>): void {
    this.#frames.add()
    this.#options.latency.arrived(packet.pts)
    const changed = this.#track && packet.track !== this.#track && !sameVideo(packet.track, this.#track)
    this.#track = packet.track
    this.#gop.push(packet)
    if (changed) {
      const old = this.#decoder
      this.#decoder = undefined
      void this.#openDecoder(old)
      return
    }
    if (this.#decoderBusy) return
    if (!this.#decoder) {
      if (packet.key) void this.#openDecoder()
      else this.#options.source.requestKeyframe()
      return
    }
    if (packet.key) this.#waitingForKey = false
    if (this.#waitingForKey || !this.#decoder.write(packet)) {
      this.#lost++
      if (!this.#waitingForKey) this.#options.source.requestKeyframe()
      this.#waitingForKey = true
    }
  }

  /** Opens a decoder and gives it everything since the newest keyframe; frames that were already seen are left out. */
  async #openDecoder(previous?: VideoDecoder): Promise<void> {
    const scope = this.#scope
    const track = this.#track
    if (!scope || !track || this.#decoderBusy) return
    this.#decoderBusy = true
    try {
      if (previous) {
        previous.end()
        await Promise.race([previous.closed, sleep(FLUSH_MS)])
        await previous.close()
      }
      const { ffmpeg, format, size, maxPixels } = this.#options
      const limited =
        track.width && track.height ? fitWithin({ width: track.width, height: track.height }, maxPixels) : undefined
      this.#scaledTo = size ?? limited
      const [keyframe] = this.#gop.packets
      if (keyframe) this.#options.onColour(sourceColour(keyframe))
      const decoder: VideoDecoder = await openVideoDecoder(
        {
          ffmpeg,
          track,
          format,
          ...(this.#scaledTo && { size: this.#scaledTo }),
          fit: size ? 'cover' : 'stretch',
          onFrame: (frame) => this.#decoded(frame),
          memory: this.#options.memory,
        },
        { signal: scope.signal, log: this.#context.log },
      )
      this.#decoder = decoder
      this.#waitingForKey = this.#gop.packets.length === 0
      decoder.replay(this.#gop.packets)
      if (this.#waitingForKey) this.#options.source.requestKeyframe()
      void this.#watchDecoder(decoder)
    } catch (thrown) {
      await this.#failed('decoder', AppError.from(thrown))
    } finally {
      this.#decoderBusy = false
    }
  }

  async #watchDecoder(decoder: VideoDecoder): Promise<void> {
    const started = nowMs()
    const closed = await decoder.closed
    if (this.#decoder !== decoder) return
    this.#decoder = undefined
    if (this.#scope?.signal.aborted) return
    if (nowMs() - started > 1000) this.#failures.decoder = 0
    await this.#failed('decoder', closed.error ?? new AppError('ffmpeg-failed', 'the decoder ended by itself'))
    await this.#openDecoder()
  }

  #decoded(frame: VideoFrame): void {
    const { memory } = this.#options
    if (frame.pts <= this.#lastDecoded) {
      memory.give(frame.data)
      return
    }
    this.#lastDecoded = frame.pts
    this.#options.latency.decoded(frame.pts)
    if (this.#isTooFast(frame.pts)) {
      this.#thinned++
      memory.give(frame.data)
      return
    }
    this.#options.onFrame(frame)
  }

  /** Keeps the rate at `maxFps` by time stamps, with a tenth of an interval of tolerance for uneven ones. */
  #isTooFast(pts: number): boolean {
    const interval = TICKS_PER_SECOND / this.#options.maxFps
    if (pts < this.#nextPts - interval / 10) return true
    this.#nextPts = Math.max(this.#nextPts + interval, pts + interval / 2)
    return false
  }

  #audio(packet: EncodedPacket<AudioTrack>): void {
    this.#audioTrack = packet.track
    if (packet.track.codec === 'opus') {
      this.#sendAudio(packet)
      return
    }
    if (this.#transcoder) this.#transcoder.write(packet)
    else if (!this.#transcoderBusy) void this.#openTranscoder(packet)
  }

  async #openTranscoder(first: EncodedPacket<AudioTrack>): Promise<void> {
    const scope = this.#scope
    if (!scope || this.#failures.audio >= MAX_FAILURES) return
    this.#transcoderBusy = true
    try {
      const { ffmpeg } = this.#options
      const onPacket = (packet: EncodedPacket) => this.#sendAudio(packet)
      const context = { signal: scope.signal, log: this.#context.log }
      const started = nowMs()
      const transcoder = await openAudioTranscoder({ ffmpeg, track: first.track, trackId: 'audio', onPacket }, context)
      this.#transcoder = transcoder
      transcoder.write(first)
      void transcoder.closed.then(async (closed) => {
        // One that was flushed at the end of its publisher has done its work.
        if (this.#transcoder !== transcoder) return
        this.#transcoder = undefined
        if (scope.signal.aborted) return
        if (nowMs() - started > 1000) this.#failures.audio = 0
        await this.#failed(
          'audio',
          closed.error ?? new AppError('ffmpeg-failed', 'the audio transcoder ended by itself'),
        )
      })
    } catch (thrown) {
      await this.#failed('audio', AppError.from(thrown))
    } finally {
      this.#transcoderBusy = false
    }
  }

  #sendAudio(packet: EncodedPacket): void {
    if (packet.pts <= this.#lastAudio) return
    this.#lastAudio = packet.pts
    this.#options.onAudio(packet)
  }

  async #failed(what: 'decoder' | 'audio', error: AppError): Promise<void> {
    const scope = this.#scope
    if (!scope || scope.signal.aborted) return
    this.#failures[what]++
    if (what === 'decoder') this.#restarts++
    const { events } = this.#options
    this.#context.log.warn({ err: error, failures: this.#failures[what] }, `${what} failed`)
    events.emit({ type: 'error', source: what, message: error.message })
    if (this.#failures[what] < MAX_FAILURES) {
      events.emit({ type: 'restart', source: what, count: this.#failures[what] })
      await sleep(50 * 2 ** (this.#failures[what] - 1), scope.signal).catch(() => {})
    } else if (what === 'decoder') scope.end({ why: 'failed', error })
  }

  /** Lets the last video and audio frames of a publisher that has ended come out. */
  async #flush(): Promise<void> {
    const ending = [this.#decoder, this.#transcoder].filter((life) => life !== undefined)
    this.#decoder = undefined
    this.#transcoder = undefined
    for (const life of ending) life.end()
    await deadline(Promise.all(ending.map((life) => life.closed)), FLUSH_MS, 'flushing the decoder').catch(() => {})
    await Promise.all(ending.map((life) => life.close()))
  }
}

function sameVideo(a: VideoTrack, b: VideoTrack): boolean {
  return a.codec === b.codec && a.width === b.width && a.height === b.height
}
