import type { AppError } from '../../core/errors.ts'
import { type Context, sleep } from '../../core/resource.ts'
import type { InputOptions } from './input-options.ts'
import { Retries } from './retries.ts'

/** Reports each failure of a publisher's decoder, and says when the next one may be opened. */
export class DecoderFailures {
  readonly #options: Pick<InputOptions, 'events' | 'onFailing'>
  readonly #context: Context & { signal: AbortSignal }
  readonly #retries = new Retries()
  #told = false

  constructor(options: Pick<InputOptions, 'events' | 'onFailing'>, context: Context & { signal: AbortSignal }) {
    this.#options = options
    this.#context = context
  }

  /** Total number of failures. */
  get count(): number {
    return this.#retries.count
  }

  /** True from the last quick attempt until a frame is decoded again. */
  get failing(): boolean {
    return this.#retries.failing
  }

  /** Call when a frame was decoded. */
  gave(): void {
    this.#retries.gave()
    this.#tell()
  }

  /** Resolves when it is time to try again. `ranMs`: how long the decoder had run. */
  async failed(error: AppError, ranMs: number): Promise<void> {
    const { signal, log } = this.#context
    const { events } = this.#options
    const pauseMs = this.#retries.failed(ranMs)
    const { count } = this.#retries
    this.#tell()
    log.warn({ err: error, failures: count, pauseMs }, 'decoder failed')
    events.emit({ type: 'error', source: 'decoder', message: error.message })
    await sleep(pauseMs, signal).catch(() => {})
    if (!signal.aborted) events.emit({ type: 'restart', source: 'decoder', count })
  }

  #tell(): void {
    const { failing } = this.#retries
    if (failing === this.#told) return
    this.#told = failing
    this.#options.onFailing(failing)
  }
}
