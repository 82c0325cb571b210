import type { PipelineLease } from '../../pipeline/supervision/pool/pool.ts'
import type { StreamEvents } from '../events.ts'
import { hashParams } from '../params.ts'

export type RelayOptions = {
  events: StreamEvents
  /** A data message; `lost` is the number of messages lost before it. */
  onData(pts: number, value: unknown, lost: number): void
  /** The pipeline stopped or restarts: what it has will not come out. */
  onLost(lease: PipelineLease): void
  /** The params changed. */
  onParams(): void
}

/** Passes on a pipeline's events as events of the stream. Returns functions that stop that. */
export function relay(lease: PipelineLease, { events, onParams, onData, onLost }: RelayOptions): (() => void)[] {
  let lostBefore = 0
  return [
    relayLog(lease, events),
    lease.events.on('state', ({ state, previous }) => events.emit({ type: 'state', state, previous })),
    lease.events.on('status', ({ phase }) => {
      if (phase !== 'ready' && phase !== 'stalled') onLost(lease)
    }),
    lease.events.on('error', ({ message, stage }) =>
      events.emit({ type: 'error', source: 'pipeline', message, ...(stage && { stage }) }),
    ),
    lease.events.on('restart', ({ count, logs, stage }) =>
      events.emit({ type: 'restart', source: 'pipeline', count, logs, ...(stage && { stage }) }),
    ),
    lease.events.on('data', ({ pts, value, lost }) => {
      // A new runner counts from 0.
      onData(pts, value, Math.max(0, lost - lostBefore))
      lostBefore = lost
    }),
    lease.events.on('params', ({ status, revision, params, error }) => {
      events.emit({ type: 'params', status, revision, hash: hashParams(params), ...(error && { error }) })
      if (status === 'applied') onParams()
    }),
  ]
}

/** Passes on the pipeline's log lines. */
export function relayLog(lease: PipelineLease, events: StreamEvents): () => void {
  return lease.events.on('log', ({ level, line, stage }) =>
    events.emit({ type: 'log', level, line, ...(stage && { stage }) }),
  )
}
