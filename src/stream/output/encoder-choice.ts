import type { AppError } from '../../core/errors.ts'
import type { ViewerCodec } from '../../core/media/packet.ts'
import { type Context, sleep } from '../../core/resource.ts'
import { withNextEncoder } from '../../ffmpeg/encoder/trial.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import type { EncoderSource, StreamEvents } from '../events.ts'

export type EncoderChoiceOptions = {
  ffmpeg: Ffmpeg
  codec: ViewerCodec
  /** The name under which failures are reported. */
  source: EncoderSource
  events: StreamEvents
  /** The next encoder takes over. */
  onChanged(): void
}

/** An encoder that has worked this long counts as working. */
const RAN_WELL_MS = 10_000
/** After this many failures in a row the next working encoder is used. */
const MAX_FAILURES = 2
const MAX_PAUSE_MS = 10_000

/**
 * Finds the encoder that works for one stream from its failures: each makes the pause longer, and repeated ones choose
 * another encoder.
 */
export class EncoderChoice {
  /** Total number of restarts. */
  restarts = 0
  readonly #options: EncoderChoiceOptions
  readonly #context: Context & { signal: AbortSignal }
  #ffmpeg: Ffmpeg
  #failures = 0

  constructor(options: EncoderChoiceOptions, context: Context & { signal: AbortSignal }) {
    this.#options = options
    this.#context = context
    this.#ffmpeg = options.ffmpeg
  }

  /** With the encoder to use now. */
  get ffmpeg(): Ffmpeg {
    return this.#ffmpeg
  }

  get name(): string {
    return this.#options.codec === 'vp8' ? 'libvpx' : this.#ffmpeg.videoEncoder
  }

  /** Call when the encoder ended after `workedMs`. Resolves when it is time to open one again. */
  async failed(error: AppError, workedMs = 0): Promise<void> {
    const { signal, log } = this.#context
    if (signal.aborted) return
    if (workedMs > RAN_WELL_MS) this.#failures = 0
    this.#failures++
    this.restarts++
    const { events, source } = this.#options
    log.warn({ err: error, source, failures: this.#failures }, 'encoder failed')
    events.emit({ type: 'error', source, message: error.message })
    if (this.#failures >= MAX_FAILURES) await this.#change(error)
    if (signal.aborted) return
    events.emit({ type: 'restart', source, count: this.restarts })
    await sleep(Math.min(MAX_PAUSE_MS, 100 * 2 ** Math.max(0, this.#failures - 1)), signal).catch(() => {})
  }

  /** Hardware may refuse another session, or its driver may reset: this stream continues with the next best encoder. */
  async #change({ message }: AppError): Promise<void> {
    if (this.#options.codec === 'vp8') return
    const next = await withNextEncoder(this.#ffmpeg, this.#context.log)
    if (!next) return
    const { videoEncoder: from } = this.#ffmpeg
    this.#context.log.warn({ from, to: next.videoEncoder }, 'switching to another encoder')
    const line = `the encoder ${from} fails on this stream, ${next.videoEncoder} takes over: ${message}`
    this.#options.events.emit({ type: 'log', level: 'warn', line })
    this.#ffmpeg = next
    this.#failures = 0
    this.#options.onChanged()
  }
}
