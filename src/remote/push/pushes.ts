import { AppError } from '../../core/errors.ts'
import { type Closed, type Context, type Resource, Scope } from '../../core/resource.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import { type Output, type OutputDeps, type PushTarget, RemoteOutput } from './output.ts'
import { Push, type PushStatus } from './push.ts'

export type PushesOptions = OutputDeps & { registry: StreamRegistry }

/** Each is a process. */
const MAX_OF_STREAM = 16

/** All push targets. */
export class Pushes implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: PushesOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #running = new Map<string, Push>()

  constructor(options: PushesOptions, context: Context) {
    this.#options = options
    this.#scope = new Scope(context.signal)
    this.#context = { signal: this.#scope.signal, log: context.log }
    this.closed = this.#scope.closed
    this.#scope.defer(() => Promise.all([...this.#running.values()].map((push) => push.close())))
  }

  /** `field` names the URL in errors. @throws AppError `invalid-request` for a target that may not be contacted. */
  async check(target: PushTarget, field: string): Promise<RemoteOutput> {
    return await RemoteOutput.check(target, field, this.#options)
  }

  /** Starts sending; progress is in its status. @throws AppError `not-found`, `capacity`. */
  begin(stream: string, output: Output): PushStatus {
    const live = this.#options.registry.get(stream)
    if (this.of(stream).length >= MAX_OF_STREAM) {
      throw new AppError('capacity', `the stream "${stream}" has ${MAX_OF_STREAM} outputs already, the maximum`)
    }
    const push = new Push(live, output, this.#context)
    this.#running.set(push.id, push)
    this.#context.log.info({ stream, output: push.id, type: output.type, to: output.to }, 'output connected')
    void push.closed.then(() => this.#running.delete(push.id))
    void live.closed.then(() => push.close())
    return push.status()
  }

  of(stream: string): PushStatus[] {
    return this.all().filter((one) => one.stream === stream)
  }

  /** Of every stream, oldest first. */
  all(): PushStatus[] {
    return [...this.#running.values()].map((push) => push.status())
  }

  /** Resolves when its resources are freed. @throws AppError `not-found`. */
  async end(stream: string, id: string): Promise<PushStatus> {
    const push = this.#running.get(id)
    if (push?.status().stream !== stream) {
      throw new AppError('not-found', `the stream "${stream}" has no output "${id.slice(0, 40)}"`)
    }
    await push.close()
    return push.status()
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
