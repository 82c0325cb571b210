import type { LeaseStatus } from '../lease/events.ts'
import type { PipelineState } from '../lease/health.ts'
import type { PipelineLease } from '../lease/lease.ts'

/** One pipeline of a chain, and the key of its params, status and metrics. */
export type Stage = { key: string; lease: PipelineLease }

/** Most severe first. */
const PHASES = ['failed', 'restarting', 'loading', 'reloading', 'stalled'] as const
const WORST_FIRST = ['ERROR', 'LOADING', 'DEGRADED_INFERENCE', 'DEGRADED_INPUT', 'OFFLINE'] as const

/** A chain is in the state of its worst stage. */
export function chainState(stages: readonly Stage[]): PipelineState {
  const states = stages.map(({ lease }, at) => {
    const { state } = lease
    // If a later stage gets too few frames, the cause is the stage before it, which reports that itself.
    return at > 0 && state === 'DEGRADED_INPUT' ? 'ONLINE' : state
  })
  return WORST_FIRST.find((state) => states.includes(state)) ?? 'ONLINE'
}

export function chainStatus(stages: readonly Stage[]): LeaseStatus {
  const all = stages.map(({ lease }) => lease.status)
  for (const phase of PHASES) {
    const found = all.find((status) => status.phase === phase)
    if (found) return found
  }
  const newest = all.reduce((a, b) => (b.since > a.since ? b : a))
  return { ...newest, text: `${stages.map(({ lease }) => lease.pipeline).join(' and ')} are ready` }
}
