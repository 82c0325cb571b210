import { msToTicks, nowMs } from '../../core/clock.ts'
import type { AppError } from '../../core/errors.ts'
import type { AudioFrame } from '../../core/media/audio.ts'
import type { AudioTrack, EncodedPacket } from '../../core/media/packet.ts'
import type { Context } from '../../core/resource.ts'
import { pcmPacket } from '../../ffmpeg/audio/pcm.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import { aroundPath, decoderPath, encoderPath } from './paths.ts'
import { PcmCutter } from './pcm-cutter.ts'
import type { PipelineAudio } from './pipeline-audio.ts'
import { AudioSplice } from './splice.ts'

export type AudioRouteOptions = {
  ffmpeg: Ffmpeg
  /** The stream's current pipeline. */
  pipeline(): PipelineAudio | undefined
  /** Opus packets, in order of time. */
  onPacket(packet: EncodedPacket): void
  /** A coder failed for the `failures`th time in a row. */
  onFailure(error: AppError, failures: number): void
}

/** How often to check whether a pipeline takes too long. */
const CHECK_MS = 50
/** Packet length of the encoded audio. */
const PACKET_MS = 20
const PACKET_TICKS = msToTicks(PACKET_MS)

type DecodedInput = {
  frameMs: number
  channels: number
  cutter: PcmCutter
  decoder: ReturnType<typeof decoderPath>
  /** Whether the input leaves unchanged where the pipeline outputs nothing. */
  through: boolean
  /** Set once its remaining frames go to no pipeline. */
  retired: boolean
}

/**
 * Routes one publisher's audio around the pipeline, and through it if the pipeline wants audio. Audio through the
 * pipeline is decoded, cut into frames and encoded again; it takes over with its first packet, and hands back after its
 * last one.
 */
export class AudioRoute {
  readonly splice: AudioSplice
  readonly #options: AudioRouteOptions
  readonly #context: Context & { signal: AbortSignal }
  readonly #around: ReturnType<typeof aroundPath>
  readonly #cutter = new PcmCutter(PACKET_MS, (frame) => this.#encoder?.write(pcmPacket(frame)))
  #input: DecodedInput | undefined
  #encoder: ReturnType<typeof encoderPath> | undefined
  /** The path whose packets leave. */
  #onAir: 'around' | 'through' | undefined
  /** Settles when the last audio through the pipeline is out; audio around it waits for that. */
  #leaving: Promise<void> | undefined
  #waiting: EncodedPacket[] = []
  #until = Number.POSITIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY
  #lost = 0

  constructor(options: AudioRouteOptions, context: Context & { signal: AbortSignal }) {
    const { ffmpeg, onFailure } = options
    this.#options = options
    this.#context = context
    this.#around = aroundPath({ ffmpeg, onFailure, onPacket: (packet) => this.#aroundPacket(packet) }, context)
    this.splice = new AudioSplice((frame) => this.#cutter.push(frame))
  }

  /** Packets dropped at a coder, and frames dropped on the way to the pipeline. */
  get lost(): number {
    return this.#lost + this.#around.dropped + (this.#input?.decoder.dropped ?? 0) + (this.#encoder?.dropped ?? 0)
  }

  write(packet: EncodedPacket<AudioTrack>): void {
    const wanted = this.#options.pipeline()?.audio
    const through = wanted !== undefined && wanted.mode !== 'listen'
    if (!through && this.#onAir === 'through') this.#leave(packet.pts)
    if (through) this.#openEncoder()
    if (wanted) {
      const input = this.#inputFor(wanted)
      input.through = through
      input.decoder.write(packet)
    }
    // The path on air continues until the other one has output.
    if (!through || this.#onAir === 'around') this.#around.write(packet)
  }

  /** Takes pipeline output. It may come although the publisher has no audio. */
  output(frame: AudioFrame, by: PipelineAudio): void {
    if (by.audio?.mode === 'listen') return
    if (by === this.#options.pipeline()) this.#openEncoder()
    else if (!this.splice.waitsFor(by)) return
    this.splice.output(frame, by, nowMs())
  }

  /** Outputs what is left; nothing may be written afterwards. */
  async flush(): Promise<void> {
    await this.#input?.decoder.flush()
    this.#input?.cutter.flush()
    this.splice.flush()
    this.#cutter.flush()
    await Promise.all([this.#around.flush(), this.#encoder?.flush()])
    await this.#leaving
  }

  /** Decodes to the format that a pipeline wants. */
  #inputFor({ frameMs, channels }: NonNullable<PipelineAudio['audio']>): DecodedInput {
    const old = this.#input
    if (old?.frameMs === frameMs && old.channels === channels) return old
    if (old) void this.#retireInput(old)
    const { ffmpeg, onFailure } = this.#options
    const cutter = new PcmCutter(frameMs, (frame) => this.#toPipeline(frame, input))
    const onPacket = (frame: AudioFrame) => cutter.push(frame)
    const decoder = decoderPath({ ffmpeg, channels, onPacket, onFailure }, this.#context)
    const input: DecodedInput = { frameMs, channels, cutter, decoder, through: false, retired: false }
    this.#input = input
    return input
  }

  async #retireInput(input: DecodedInput): Promise<void> {
    input.retired = true
    if (this.#input === input) this.#input = undefined
    await input.decoder.flush()
    input.cutter.flush()
    this.#lost += input.decoder.dropped
  }

  #toPipeline(frame: AudioFrame, { through, retired }: DecodedInput): void {
    const pipeline = this.#options.pipeline()
    const mode = pipeline?.audio?.mode
    const ready = !retired && pipeline?.audioReady === true
    const takes = ready && mode !== undefined && mode !== 'give'
    const taken = takes && pipeline.offerAudio(frame)
    if (takes && !taken) this.#lost++
    // In `give` mode the pipeline's audio replaces the input.
    if (through && !(mode === 'give' && ready)) this.splice.input(frame, taken ? pipeline : undefined, nowMs())
  }

  #openEncoder(): void {
    if (this.#encoder) return
    const { ffmpeg, onFailure } = this.#options
    const { signal } = this.#context
    const onPacket = (packet: EncodedPacket) => this.#throughPacket(packet, encoder)
    const encoder = encoderPath({ ffmpeg, onPacket, onFailure }, this.#context)
    this.#encoder = encoder
    // With no path to take over from there is nothing to wait for.
    this.#onAir ??= 'through'
    const timer = setInterval(() => {
      if (this.#encoder === encoder && !signal.aborted) this.splice.check(nowMs())
      else clearInterval(timer)
    }, CHECK_MS)
  }

  #throughPacket(packet: EncodedPacket, encoder: ReturnType<typeof encoderPath>): void {
    if (this.#encoder === encoder && this.#onAir === 'around') {
      this.#onAir = 'through'
      void this.#around.flush()
    }
    this.#send(packet)
  }

  #aroundPacket(packet: EncodedPacket): void {
    if (this.#leaving) this.#waiting.push(packet)
    else if (this.#onAir !== 'through') {
      this.#onAir = 'around'
      this.#send(packet)
    }
  }

  /** Hands back to the path around the pipeline, from this time on. */
  #leave(next: number): void {
    const [encoder, input] = [this.#encoder, this.#input]
    this.#onAir = 'around'
    const leaving = (async () => {
      if (input) await this.#retireInput(input)
      this.splice.flush()
      this.#cutter.flush()
      // The end of the last packet is padding where the next one begins.
      this.#until = next - PACKET_TICKS / 2
      this.#encoder = undefined
      await encoder?.flush()
      this.#until = Number.POSITIVE_INFINITY
      this.#lost += encoder?.dropped ?? 0
      this.#leaving = undefined
      for (const packet of this.#waiting.splice(0)) this.#send(packet)
    })()
    this.#leaving = leaving
  }

  #send(packet: EncodedPacket): void {
    if (packet.pts <= this.#last || packet.pts >= this.#until) return
    this.#last = packet.pts
    this.#options.onPacket(packet)
  }
}
