import { AppError } from '../../core/errors.ts'
import { type Closed, type Resource, Scope, sleep } from '../../core/resource.ts'
import { JsonPublisher } from '../../trickle/json.ts'
import type { Publication } from '../../trickle/publication.ts'

const RETRY_MS = 2000

export type RemoteMessagesOptions = {
  first: Publication
  /** Publishes to the same channel again after a failure. */
  reopen(): Promise<Publication>
  /** Called with each failure; it is retried a little later. */
  onFailure(error: AppError): void
}

/**
 * Sends messages to a channel on another server and survives its failures; messages sent meanwhile are lost. A deleted
 * channel is not made again. Closing briefly sends what still waits, and deletes the channel.
 */
export class RemoteMessages implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: RemoteMessagesOptions
  readonly #scope = new Scope()
  #publisher: JsonPublisher | undefined

  constructor(options: RemoteMessagesOptions) {
    this.#options = options
    this.closed = this.#scope.closed
    this.#publisher = new JsonPublisher(options.first)
    this.#scope.defer(() => this.#publisher?.close())
    this.#scope.spawn((signal) => this.#run(signal))
  }

  /** Never waits. */
  send(message: unknown): void {
    this.#publisher?.send(message)
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(signal: AbortSignal): Promise<Closed> {
    const stopped = new Promise<undefined>((resolve) =>
      signal.addEventListener('abort', () => resolve(undefined), { once: true }),
    )
    for (;;) {
      const closed = await Promise.race([this.#publisher?.closed, stopped])
      if (closed === undefined || closed.why !== 'failed' || closed.error?.code === 'not-found') return { why: 'ended' }
      let error = closed.error ?? new AppError('trickle-failed', 'the channel failed')
      this.#publisher = undefined
      while (!this.#publisher) {
        this.#options.onFailure(error)
        await sleep(RETRY_MS, signal)
        try {
          this.#publisher = new JsonPublisher(await this.#options.reopen())
        } catch (thrown) {
          error = AppError.from(thrown)
        }
      }
    }
  }
}
