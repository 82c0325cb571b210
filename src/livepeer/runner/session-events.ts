import type { StreamEvent } from '../../stream/events.ts'
import type { LiveStream } from '../../stream/live-stream.ts'
import type { SessionReport } from './session-report.ts'

export type Trace =
  | 'runner_receive_stream_request'
  | 'runner_receive_first_ingest_segment'
  | 'runner_send_first_processed_segment'

export type SessionEventsOptions = {
  pipeline: string
  /** Arrival of the request for the stream, in milliseconds since 1970. */
  receivedAt: number
  statusEventMs: number
}

/** Errors are sent at this interval, only the newest. */
const ERROR_TICK_MS = 1000

type Send = (message: unknown) => void

/** The events channel of a session; contract §3.6. */
export class SessionEvents {
  readonly #options: SessionEventsOptions
  #send: Send | undefined
  #error: Record<string, unknown> | undefined
  #lastStatusAt: number

  constructor(options: SessionEventsOptions) {
    this.#options = options
    this.#lastStatusAt = options.receivedAt
  }

  /** Sends the stream's events until the returned function is called. */
  tell(stream: LiveStream, report: () => SessionReport, send: Send): () => void {
    this.#send = send
    this.trace('runner_receive_stream_request', this.#options.receivedAt)
    const leave = stream.events.subscribe((event) => this.#note(event))
    const errors = setInterval(() => this.#sendError(), ERROR_TICK_MS)
    const statuses = setInterval(() => this.#sendStatus(report()), this.#options.statusEventMs)
    return () => {
      leave()
      clearInterval(errors)
      clearInterval(statuses)
      this.#sendError()
      this.#send = undefined
    }
  }

  trace(type: Trace, timestamp = Date.now()): void {
    this.#send?.({ event: { type, timestamp }, queue_event_type: 'stream_trace' })
  }

  #note(event: StreamEvent): void {
    const { pipeline } = this.#options
    // Seconds with a fraction here, milliseconds everywhere else, as in the original.
    const time = event.timestamp / 1000
    if (event.type === 'error') this.#error = { type: 'error', pipeline, message: event.message, time }
    else if (event.type === 'restart' && event.source === 'pipeline') {
      const { count, logs = [] } = event
      this.#tell({ type: 'restart', pipeline, restart_count: count, restart_time: time, restart_logs: logs })
    }
  }

  #sendError(): void {
    if (!this.#error) return
    this.#tell(this.#error)
    this.#error = undefined
  }

  #sendStatus(report: SessionReport): void {
    const last_status_timestamp = this.#lastStatusAt
    this.#lastStatusAt = Date.now()
    this.#tell({ ...report.takeStatus(), last_status_timestamp })
  }

  #tell(event: Record<string, unknown>): void {
    this.#send?.({ event: { ...event, timestamp: Date.now() }, queue_event_type: 'ai_stream_events' })
  }
}
