import type { AudioFrame } from '../../core/media/audio.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'
import type { Context } from '../../core/resource.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import type { StreamEvents } from '../events.ts'
import { LipSync } from './lip-sync.ts'
import type { PipelineAudio } from './pipeline-audio.ts'
import { AudioRoute } from './route.ts'

export type StreamAudioOptions = {
  ffmpeg: Ffmpeg
  events: StreamEvents
  /** The stream's current pipeline. */
  pipeline(): PipelineAudio | undefined
  /** Takes the Opus packets that leave the stream. */
  send(packet: EncodedPacket): void
}

const NONE = { processed: 0, unprocessed: 0, late: 0, lost: 0 }

/** A stream's audio, from its publishers to the outputs. */
export class StreamAudio {
  readonly lipSync: LipSync
  readonly #options: StreamAudioOptions
  #route: AudioRoute | undefined
  #past = NONE

  constructor(options: StreamAudioOptions) {
    this.#options = options
    this.lipSync = new LipSync(options.send)
  }

  /** Opens the route of a publisher's audio, until the signal aborts. */
  open(context: Context & { signal: AbortSignal }): AudioRoute {
    const { ffmpeg, events, pipeline } = this.#options
    const route = new AudioRoute(
      {
        ffmpeg,
        pipeline,
        onPacket: (packet) => this.lipSync.write(packet),
        onFailure: (err, failures) => {
          context.log.warn({ err, failures }, 'audio failed')
          events.emit({ type: 'error', source: 'audio', message: err.message })
          events.emit({ type: 'restart', source: 'audio', count: failures })
        },
      },
      context,
    )
    this.#route = route
    context.signal.addEventListener('abort', () => this.#close(route), { once: true })
    return route
  }

  /** Takes audio from a pipeline. */
  output(frame: AudioFrame, by: PipelineAudio): void {
    this.#route?.output(frame, by)
  }

  /** That pipeline stopped or restarts: the audio that it has leaves unchanged. */
  abandon(by: PipelineAudio): void {
    this.#route?.splice.abandon(by)
  }

  stats() {
    const { processed, unprocessed, late, lost } = this.#counts()
    return {
      mode: this.#options.pipeline()?.audio?.mode ?? ('around' as const),
      frames: processed,
      unprocessed,
      lost: lost + late + this.lipSync.dropped + (this.#options.pipeline()?.audioLost ?? 0),
      heldMs: Math.round(this.lipSync.delayMs),
      latencyMs: this.#route?.splice.latencyMs ?? { p50: 0, p95: 0, p99: 0 },
    }
  }

  #counts() {
    const route = this.#route
    if (!route) return this.#past
    const { processed, unprocessed, late } = route.splice
    return {
      processed: this.#past.processed + processed,
      unprocessed: this.#past.unprocessed + unprocessed,
      late: this.#past.late + late,
      lost: this.#past.lost + route.lost,
    }
  }

  #close(route: AudioRoute): void {
    if (this.#route !== route) return
    this.#past = this.#counts()
    this.#route = undefined
    this.lipSync.flush()
  }
}
