import { AppError } from '../../../core/errors.ts'
import type { Lease } from '../lease/lease.ts'
import { inStage } from './params.ts'

/** Passes on the events of the stages, with the stage's key. Returns functions that stop that. */
export function relayStages(chain: Pick<Lease, 'events' | 'stages' | 'params' | 'status'>, assess: () => void) {
  const { events, stages } = chain
  let restarts = 0
  let lost = 0
  return stages.flatMap(({ key, lease }) => {
    let lostBefore = 0
    return [
      lease.events.on('state', assess),
      lease.events.on('status', () => events.emit('status', chain.status)),
      lease.events.on('error', (error) => events.emit('error', { ...error, stage: key })),
      lease.events.on('restart', (restart) => {
        const error = inStage(key, restart.error)
        events.emit('restart', { ...restart, error, count: ++restarts, stage: key })
      }),
      lease.events.on('log', (line) => events.emit('log', { ...line, stage: key })),
      lease.events.on('data', (data) => {
        // A new runner counts from 0.
        lost += Math.max(0, data.lost - lostBefore)
        lostBefore = data.lost
        events.emit('data', { ...data, lost })
      }),
      lease.events.on('params', ({ status, error }) => {
        const { revision, value: params } = chain.params
        const told = error && { error: inStage(key, AppError.fromJSON(error)).toJSON() }
        events.emit('params', { status, revision, params, ...told })
      }),
    ]
  })
}
