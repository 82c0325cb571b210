import { AppError } from '../core/errors.ts'
import { type Closed, type Context, type Resource, Scope, sleep } from '../core/resource.ts'
import type { Ffmpeg } from '../ffmpeg/probe.ts'
import { openTestPattern } from '../ffmpeg/test-pattern.ts'
import type { PipelinePool } from '../pipeline/supervision/pool/pool.ts'
import { checkStreamName, type StreamRegistry } from './registry.ts'

export type TestPatternsOptions = {
  ffmpeg: Ffmpeg
  registry: StreamRegistry
  pool: PipelinePool
  /** The server's own address, known once it listens. */
  url(): string
  authToken: string | undefined
}

const START_MS = 15_000

/** Publishers that are ffmpeg processes of the server, for users without a camera. They end with their streams. */
export class TestPatterns implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: TestPatternsOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #running = new Set<Resource>()

  constructor(options: TestPatternsOptions, context: Context) {
    this.#options = options
    this.#scope = new Scope(context.signal)
    this.#context = { signal: this.#scope.signal, log: context.log }
    this.closed = this.#scope.closed
    this.#scope.defer(() => Promise.all([...this.#running].map((frame) => frame.close())))
  }

  /**
   * Resolves when the stream has its publisher.
   * @throws AppError as the ingest would answer; `timeout` if no media came.
   */
  async start(name: string, query: { pipeline?: string; params?: Record<string, unknown> }): Promise<void> {
    const { registry, pool, ffmpeg, authToken } = this.#options
    registry.checkPublish(checkStreamName(name))
    if (query.pipeline !== undefined) await pool.describe(query.pipeline)
    const url = new URL(`/ingest/${name}`, this.#options.url())
    if (query.pipeline !== undefined) url.searchParams.set('pipeline', query.pipeline)
    if (query.params) url.searchParams.set('params', JSON.stringify(query.params))
    const headers = authToken ? { authorization: `Bearer ${authToken}` } : undefined
    const deadline = Date.now() + START_MS
    const accepted = async (signal: AbortSignal) => {
      while (Date.now() < deadline && !registry.streams.some((stream) => stream.name === name && stream.accepted))
        await sleep(20, signal)
    }
    const frame = await openTestPattern({ ffmpeg, url: url.href, accepted, ...(headers && { headers }) }, this.#context)
    this.#running.add(frame)
    void frame.closed.then(() => this.#running.delete(frame))
    await this.#joined(name, frame, deadline)
  }

  async #joined(name: string, frame: Resource, deadline: number): Promise<void> {
    while (Date.now() < deadline) {
      if (this.#options.registry.streams.some((stream) => stream.name === name && stream.live)) return
      const ended = await Promise.race([frame.closed, sleep(50, this.#context.signal)])
      if (ended) throw ended.error ?? new AppError('ffmpeg-failed', 'the test pattern ended before it began')
    }
    await frame.close()
    throw new AppError('timeout', `the test pattern did not begin within ${START_MS} ms`, { retryable: true })
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
