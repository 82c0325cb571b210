import type { Percentiles } from '../../core/counters.ts'
import type { StreamEvent } from '../../stream/events.ts'
import type { LiveStream } from '../../stream/live-stream.ts'
import { hashParams } from '../../stream/params.ts'

type Values = Record<string, unknown>

/** `GET /api/status`, and the status event; contract §3.3. Times are milliseconds since 1970. */
export type RunnerStatus = {
  type: 'status'
  pipeline: string
  start_time: number
  state: string
  last_state_update_time: number | null
  input_status: { last_input_time: number | null; fps: number }
  inference_status: {
    last_output_time: number | null
    fps: number
    last_params_update_time: number | null
    last_params: Values | null
    last_params_hash: string
    last_error_time: number | null
    last_error: string | null
    last_restart_time: number | null
    last_restart_logs: string[] | null
    restart_count: number
  }
  /** An extension. */
  stream?: string
  latency_ms?: Record<string, Percentiles>
  dropped?: { input: number; before_pipeline: number; after_pipeline: number; failed: number; readers: number }
}

/** Status of a runner without a stream. */
export function offlineStatus(pipeline: string): RunnerStatus {
  return {
    type: 'status',
    pipeline,
    start_time: 0,
    state: 'OFFLINE',
    last_state_update_time: null,
    input_status: { last_input_time: null, fps: 0 },
    inference_status: {
      last_output_time: null,
      fps: 0,
      last_params_update_time: null,
      last_params: {},
      last_params_hash: hashParams({}),
      last_error_time: null,
      last_error: null,
      last_restart_time: null,
      last_restart_logs: null,
      restart_count: 0,
    },
  }
}

/** Aggregates a stream's events into the status of the runner contract. */
export class SessionReport {
  readonly #stream: LiveStream
  readonly #startedAt: number
  #stateAt: number
  #paramsAt: number
  #paramsCarried = false
  #error: { message: string; at: number } | undefined
  #restart: { count: number; at: number; logs: string[] | null } | undefined

  constructor(stream: LiveStream, startedAt: number) {
    this.#stream = stream
    this.#startedAt = startedAt
    this.#stateAt = startedAt
    this.#paramsAt = startedAt
    // Includes events from before the subscription. It ends with its listeners.
    stream.events.subscribe((event) => this.#note(event), 0)
  }

  status(): RunnerStatus {
    const status = this.#stream.status()
    const { pipeline, params } = status
    const { before, after } = { before: status.dropped.beforePipeline, after: status.dropped.afterPipeline }
    return {
      type: 'status',
      pipeline: pipeline ?? '',
      start_time: this.#startedAt,
      state: status.state,
      last_state_update_time: this.#stateAt,
      input_status: { last_input_time: this.#stream.lastInputAt ?? null, fps: status.ingest?.fps ?? 0 },
      inference_status: {
        last_output_time: this.#stream.lastOutputAt ?? null,
        fps: status.inference.fps,
        last_params_update_time: this.#paramsAt,
        last_params: this.#paramsCarried ? null : (params?.value ?? {}),
        last_params_hash: params?.hash ?? hashParams({}),
        last_error_time: this.#error?.at ?? null,
        last_error: this.#error?.message ?? null,
        last_restart_time: this.#restart?.at ?? null,
        last_restart_logs: this.#restart?.logs ?? null,
        restart_count: this.#restart?.count ?? 0,
      },
      stream: this.#stream.name,
      latency_ms: status.latencyMs,
      dropped: {
        input: status.ingest?.lost ?? 0,
        before_pipeline: before,
        after_pipeline: after,
        failed: status.dropped.failed,
        readers: status.dropped.viewers,
      },
    }
  }

  /** The status for an event; long parts are sent only once. */
  takeStatus(): RunnerStatus {
    const status = this.status()
    this.#paramsCarried = true
    if (this.#restart) this.#restart.logs = null
    return status
  }

  #note(event: StreamEvent): void {
    const at = event.timestamp
    if (event.type === 'state') this.#stateAt = at
    else if (event.type === 'error') this.#error = { message: event.message, at }
    else if (event.type === 'params' && event.status === 'applied') {
      this.#paramsAt = at
      this.#paramsCarried = false
    } else if (event.type === 'restart' && event.source === 'pipeline') {
      this.#restart = { count: event.count, at, logs: event.logs ?? [] }
    }
  }
}
