import { type Closed, type Context, type Resource, Scope } from '../../core/resource.ts'
import type { StreamRegistry } from '../registry.ts'
import { RemoteStream, type RemoteStreamOptions } from './stream.ts'

export type RemoteStreamsOptions = { registry: StreamRegistry; inputTimeoutMs: number }

/** All streams with remote channels; closing it closes them in order. */
export class RemoteStreams implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: RemoteStreamsOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #streams = new Set<RemoteStream>()

  constructor(options: RemoteStreamsOptions, context: Context) {
    this.#options = options
    this.#scope = new Scope(context.signal)
    this.#context = { signal: this.#scope.signal, log: context.log }
    this.closed = this.#scope.closed
    this.#scope.defer(() => Promise.all([...this.#streams].map((stream) => stream.close())))
  }

  /** Starts one; it takes its place among the server's streams at once. @throws AppError `conflict` or `capacity`. */
  begin(options: Omit<RemoteStreamOptions, 'inputTimeoutMs'>): RemoteStream {
    const { registry, inputTimeoutMs } = this.#options
    const stream = new RemoteStream(registry, { ...options, inputTimeoutMs }, this.#context)
    this.#streams.add(stream)
    // Messages to clients name only the origin: with the path, anyone could write to the channels.
    const channels = Object.fromEntries(
      Object.entries(options.channels).map(([name, target]) => [name, target && withoutSecrets(target.url)]),
    )
    this.#context.log.info({ stream: stream.name, channels }, 'remote stream started')
    void stream.closed.then((closed) => {
      this.#streams.delete(stream)
      this.#context.log.info({ stream: stream.name, why: closed.why, err: closed.error }, 'remote stream ended')
    })
    return stream
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Credentials and queries are secrets, in logs too. */
function withoutSecrets(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}
