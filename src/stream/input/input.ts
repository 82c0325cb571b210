import { RateMeter } from '../../core/counters.ts'
import type { MissingMedia } from '../../core/media/endpoints.ts'
import type { AudioTrack, EncodedPacket, VideoTrack } from '../../core/media/packet.ts'
import { type Closed, type Context, deadline, Scope } from '../../core/resource.ts'
import type { AudioRoute } from '../audio/route.ts'
import type { FrameForm } from './form.ts'
import type { InputOptions } from './input-options.ts'
import { PublisherJumps } from './publisher-jumps.ts'
import { Pace } from './real-time-pacing.ts'
import { type Beside, type BesideOptions, VideoDecoding } from './video-decoding.ts'

/** Time limit for the last frames of an ended publisher. */
const FLUSH_MS = 2000

/**
 * One publisher's input: its packets are placed on the stream's clock and decoded to frames; its audio takes its own
 * route.
 */
export class Input {
  readonly #options: InputOptions
  readonly #context: Context
  readonly #pace: Pace
  readonly #jumps: PublisherJumps
  readonly #frames = new RateMeter()
  readonly #bytes = new RateMeter()
  #hasVideo: boolean
  #track: VideoTrack | undefined
  #audioTrack: AudioTrack | undefined
  #decoding: VideoDecoding | undefined
  #audio: AudioRoute | undefined

  constructor(options: InputOptions, context: Context) {
    this.#options = options
    this.#context = context
    this.#pace = new Pace(options.heldUpMs)
    this.#hasVideo = options.source.tracks.some(({ kind }) => kind === 'video')
    const { timeline } = options
    this.#jumps = new PublisherJumps((first) => {
      timeline.join(first)
      return timeline.place(0)
    })
  }

  /** Runs as long as the publisher publishes. */
  async run(signal: AbortSignal): Promise<Closed> {
    const { source } = this.#options
    await using scope = new Scope(signal)
    this.#decoding = new VideoDecoding(this.#options, { signal: scope.signal, log: this.#context.log })
    this.#audio = this.#options.openAudio({ signal: scope.signal, log: this.#context.log })
    source.onMissing?.((missing) => this.#missing(missing))
    scope.spawn(async () => {
      for await (const packet of source.packets) {
        const offset = this.#place(packet)
        // With video, audio does not set the pace: it may be ahead of its frame or behind.
        if (packet.track.kind === 'video' || !this.#hasVideo)
          await this.#pace.turn((packet.dts ?? packet.pts) + offset, scope.signal)
        if (scope.signal.aborted) break
        this.#packet(packet, offset)
      }
      // The source itself is closed by its owner.
      if (scope.signal.aborted) return { why: 'stopped' }
      await this.#flush()
      return await source.closed
    })
    return await scope.closed
  }

  requestKeyframe(): void {
    this.#options.source.requestKeyframe()
  }

  stats() {
    const { source } = this.#options
    const { lost, program } = source.stats()
    const decoding = this.#decoding?.stats()
    return {
      kind: source.kind,
      program: program ?? null,
      codec: this.#track?.codec ?? null,
      width: this.#track?.width ?? 0,
      height: this.#track?.height ?? 0,
      fps: this.#frames.perSecond(),
      kbps: (this.#bytes.perSecond() * 8) / 1000,
      lost: lost + (decoding?.lost ?? 0),
      thinned: decoding?.thinned ?? 0,
      scaledTo: decoding?.scaledTo ?? null,
      interlaced: decoding?.interlaced ?? false,
      pixelAspect: decoding?.pixelAspect ?? null,
      audio: this.#audioTrack
        ? {
            codec: this.#audioTrack.codec,
            sampleRate: this.#audioTrack.sampleRate,
            channels: this.#audioTrack.channels,
          }
        : null,
      decoderRestarts: decoding?.decoderRestarts ?? 0,
      decoderPid: decoding?.decoderPid,
      failing: decoding?.failing ?? false,
    }
  }

  #packet(packet: EncodedPacket, offset: number): void {
    this.#bytes.add(packet.data.length)
    const pts = packet.pts + offset
    const placed = packet.dts === undefined ? { ...packet, pts } : { ...packet, pts, dts: packet.dts + offset }
    if (packet.track.kind === 'video') this.#video(placed as EncodedPacket<VideoTrack>)
    else this.#writeAudio(placed as EncodedPacket<AudioTrack>)
  }

  /** Places a packet on the stream's clock, across jumps of the publisher's clock. */
  #place({ track, pts, dts }: EncodedPacket): number {
    const { kind } = this.#options.source
    const ordered = track.kind === 'audio' || !['whip', 'whep', 'livekit'].includes(kind)
    const { offset, jumped } = this.#jumps.place(track.kind, dts ?? pts, ordered)
    if (jumped !== undefined)
      this.#context.log.info({ ticks: jumped, track: track.kind }, 'time stamps of the publisher jumped')
    return offset
  }

  #video(packet: EncodedPacket<VideoTrack>): void {
    this.#frames.add()
    // Video may start after audio.
    this.#hasVideo = true
    this.#options.latency.arrived(packet.pts)
    this.#track = packet.track
    this.#options.onVideo(packet)
    this.#decoding?.write(packet)
  }

  /** Call when the pipeline may want another frame form. */
  reformed(): void {
    this.#decoding?.reformed()
  }

  /** Like `VideoDecoding.openBeside`. */
  async openBeside(form: FrameForm, out: BesideOptions): Promise<Beside | undefined> {
    return await this.#decoding?.openBeside(form, out)
  }

  #writeAudio(packet: EncodedPacket<AudioTrack>): void {
    this.#audioTrack = packet.track
    this.#options.onAudio(packet.pts)
    this.#audio?.write(packet)
  }

  /** Reports a track that cannot be read; the other tracks go on, and it is read again once possible. */
  #missing({ kind, why }: MissingMedia): void {
    // A publisher with audio alone lacks nothing.
    if (kind === 'video' && !this.#hasVideo) return
    if (kind === 'audio') this.#audioTrack = undefined
    else this.#track = undefined
    const message = why ?? `the publisher sends no ${kind} any more`
    this.#context.log.info({ kind, why }, 'media of the publisher is missing')
    // Audio is optional.
    if (why || kind === 'video')
      this.#options.events.emit({ type: 'error', source: kind === 'audio' ? 'audio' : 'ingest', message })
  }

  /** Outputs the last video and audio of an ended publisher. */
  async #flush(): Promise<void> {
    const flushed = Promise.all([this.#decoding?.flush(), this.#audio?.flush()])
    await deadline(flushed, FLUSH_MS, 'flushing the decoder').catch(() => {})
  }
}
