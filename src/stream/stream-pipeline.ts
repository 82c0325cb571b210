import { randomUUID } from 'node:crypto'
import { AppError } from '../core/errors.ts'
import type { VideoFrame } from '../core/media/frame.ts'
import { giveBack } from '../core/media/frame-pool.ts'
import type { Context } from '../core/resource.ts'
import type { PipelineLease, PipelinePool } from '../pipeline/supervision/pool.ts'
import type { StreamEvents } from './events.ts'
import { hashParams } from './params.ts'

export type StreamPipelineOptions = {
  /** Of the stream. */
  name: string
  pool: PipelinePool
  events: StreamEvents
  /** Memory for outputs that are copied. */
  allocate(bytes: number): Uint8Array
  onOutput(frame: VideoFrame): void
}

/** The pipeline that a stream holds, from its first publisher on; what happens there is told to the stream's watchers. */
export class StreamPipeline {
  readonly #options: StreamPipelineOptions
  readonly #context: Context
  #lease: PipelineLease | undefined

  constructor(options: StreamPipelineOptions, context: Context) {
    this.#options = options
    this.#context = context
  }

  get lease(): PipelineLease | undefined {
    return this.#lease
  }

  /** @throws AppError `conflict` while there was no publisher yet. */
  need(): PipelineLease {
    if (!this.#lease) {
      throw new AppError(
        'conflict',
        `the stream "${this.#options.name}" still waits for its publisher and has no pipeline yet`,
        { retryable: true },
      )
    }
    return this.#lease
  }

  /** For a publisher. That of an earlier one is kept, unless this one names another or it has failed. */
  async use(wanted: string | undefined, params: Record<string, unknown> | undefined): Promise<PipelineLease> {
    const current = this.#lease
    const pipeline = wanted ?? current?.pipeline
    if (current && current.pipeline === pipeline && current.status.phase !== 'failed') {
      if (params) await current.updateParams('replace', params)
      return current
    }
    const { pool, allocate, onOutput } = this.#options
    const lease = await pool.lease(
      {
        ...(pipeline !== undefined && { pipeline }),
        ...(params && { params }),
        requestId: randomUUID(),
        allocate,
        onFrame: (frame) => {
          if (this.#lease === lease) onOutput(frame)
          else giveBack(frame.data)
        },
      },
      this.#context,
    )
    this.#lease = lease
    this.#relay(lease)
    await current?.close()
    return lease
  }

  async close(): Promise<void> {
    await this.#lease?.close()
  }

  #relay(lease: PipelineLease): void {
    const { events } = this.#options
    lease.events.on('state', ({ state, previous }) => events.emit({ type: 'state', state, previous }))
    lease.events.on('error', ({ message }) => events.emit({ type: 'error', source: 'pipeline', message }))
    lease.events.on('restart', ({ count, logs }) => events.emit({ type: 'restart', source: 'pipeline', count, logs }))
    lease.events.on('log', ({ level, line }) => events.emit({ type: 'log', level, line }))
    lease.events.on('params', ({ status, revision, params, error }) =>
      events.emit({ type: 'params', status, revision, hash: hashParams(params), ...(error && { error }) }),
    )
  }
}
