import { AppError } from '../../core/errors.ts'
import { type Closed, type Resource, Scope, sleep } from '../../core/resource.ts'
import type { Subscription } from '../../trickle/subscription.ts'
import { followControl } from '../control.ts'
import type { LiveStream } from '../live-stream.ts'

const RETRY_MS = 2000

export type RemoteControlOptions = {
  stream: LiveStream
  first: Subscription
  /** Resubscribes to the same channel after a failure. Rejects with `not-found` if it is gone. */
  reopen(): Promise<Subscription>
  /** Called with each failure; it is retried a little later. */
  onFailure(error: AppError): void
  /** Adds what a message's sender leaves out. */
  complete?: ((message: Record<string, unknown>) => Record<string, unknown>) | undefined
}

/** Params from a channel on another server. Survives failures of the channel, and ends when it is deleted. */
export class RemoteControl implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: RemoteControlOptions
  readonly #scope = new Scope()
  #subscription: Subscription

  constructor(options: RemoteControlOptions) {
    this.#options = options
    this.#subscription = options.first
    this.closed = this.#scope.closed
    this.#scope.signal.addEventListener('abort', () => void this.#subscription.close(), { once: true })
    this.#scope.defer(() => this.#subscription.close())
    this.#scope.spawn((signal) => this.#run(signal))
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(signal: AbortSignal): Promise<Closed> {
    const { stream, complete, onFailure, reopen } = this.#options
    for (let again = false; ; again = true) {
      try {
        if (again) this.#subscription = await reopen()
        // Opened after this was closed: nobody else would close it.
        if (signal.aborted) await this.#subscription.close()
        await followControl(stream, this.#subscription, complete)
        return { why: 'ended' }
      } catch (thrown) {
        const error = AppError.from(thrown)
        if (error.code === 'not-found') return { why: 'ended' }
        onFailure(error)
      }
      await sleep(RETRY_MS, signal)
    }
  }
}
