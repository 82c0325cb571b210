import { type Closed, type Context, type Resource, Scope } from '../../core/resource.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import { type Input, type InputDeps, type PullInput, RemoteInput } from './input.ts'
import { Pull } from './pull.ts'

export type PullsOptions = InputDeps & { registry: StreamRegistry; stallMs: number }

export type PullRequest = {
  name: string
  input: PullInput
  pipeline?: string
  params?: Record<string, unknown>
}

/** All streams that are pulled from media servers. */
export class Pulls implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: PullsOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #running = new Set<Pull>()

  constructor(options: PullsOptions, context: Context) {
    this.#options = options
    this.#scope = new Scope(context.signal)
    this.#context = { signal: this.#scope.signal, log: context.log }
    this.closed = this.#scope.closed
    this.#scope.defer(() => Promise.all([...this.#running].map((pull) => pull.close())))
  }

  /** `field` names the URL in errors. @throws AppError `invalid-request` for an input that may not be pulled. */
  async begin({ name, input, pipeline, params }: PullRequest, field: string): Promise<Pull> {
    const checked = await RemoteInput.check(input, field, this.#options)
    return this.pull({ name, input: checked, ...(pipeline !== undefined && { pipeline }), ...(params && { params }) })
  }

  /** Starts pulling a checked input. */
  pull({ name, input, pipeline, params }: Omit<PullRequest, 'input'> & { input: Input }): Pull {
    const { registry, stallMs } = this.#options
    const wishes = { ...(pipeline !== undefined && { pipeline }), ...(params && { params }) }
    const pull = new Pull({ name, registry, input, stallMs, ...wishes }, this.#context)
    this.#running.add(pull)
    this.#context.log.info({ stream: name, type: input.type, from: input.from }, 'pull begins')
    void pull.closed.then((closed) => {
      this.#running.delete(pull)
      this.#context.log.info({ stream: name, why: closed.why, err: closed.error }, 'pull ended')
    })
    return pull
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
