import type { Log } from '../core/log.ts'
import type { Placement } from '../stream/remote/placements.ts'
import type { Clock } from './clock.ts'
import type { Wish } from './rules.ts'
import type { Fleet } from './servers/fleet.ts'
import type { Order } from './servers/servers.ts'
import { streamNameOf } from './stream-name.ts'

/** Servers tried per attempt; a server answers 503 if another dispatcher, or a publisher, was faster. */
const MAX_ASKED = 16
/** After so many failures for one room, the cause is the room and not the servers. */
const MAX_FAILED = 3
/** Time limit until media flows: a pipeline may load a model meanwhile. */
const START_MS = 20_000
const ANSWERED = new Error('answered')

/** By then every dispatcher has heard of a new placement. */
const HEAR_MS = 150

export type Placed =
  | { kind: 'placed'; server: string; asked: number }
  /** Placed by another dispatcher. */
  | { kind: 'theirs'; asked: number }
  /** No server has a free place. */
  | { kind: 'none'; asked: number }
  | { kind: 'rejected'; why: string; asked: number }
  | { kind: 'failed'; why: string; asked: number }

export type PlaceOptions = {
  fleet: Fleet
  clock: Clock
  wish: Wish
  not: ReadonlySet<string>
  /** The placement it continues from, with its pipeline and params. */
  before: Placement | undefined
  log: Log
  signal: AbortSignal
}

/** Asks one server after the other to take a room, until one does. */
export async function place({ fleet, clock, wish, not, before, log, signal }: PlaceOptions): Promise<Placed> {
  const order = orderOf(wish, before)
  let asked = 0
  let failed = 0
  let why = ''
  for (const server of fleet.candidates(wish.room, not)) {
    if (asked >= MAX_ASKED) break
    // Others were placed since the list was made.
    if (!fleet.hasPlace(server)) continue
    asked++
    const limit = new AbortController()
    const timer = new AbortController()
    void clock.sleep(START_MS, timer.signal).then(
      () => limit.abort(new Error(`it took longer than ${START_MS / 1000} s`)),
      () => {},
    )
    const outcome = await fleet
      .start(server, order, AbortSignal.any([signal, limit.signal]))
      .catch((thrown: Error) => {
        signal.throwIfAborted()
        return { kind: 'failed' as const, why: thrown.message }
      })
      .finally(() => timer.abort(ANSWERED))
    if (outcome.kind === 'started') return { kind: 'placed', server, asked }
    if (outcome.kind === 'rejected') return { ...outcome, asked }
    if (outcome.kind === 'there' || outcome.kind === 'full') {
      // Another dispatcher was first, on this server, or on another one if its order differs.
      await clock.sleep(HEAR_MS, signal)
      if (fleet.holders(wish.room).some((one) => !not.has(one.server) && !one.draining))
        return { kind: 'theirs', asked }
      if (outcome.kind === 'full') continue
    }
    why = outcome.kind === 'there' ? 'a stream of that name has another publisher there' : outcome.why
    log.warn({ room: wish.room, server, why }, 'server could not start a stream')
    // It may have started all the same, and nobody would end it.
    if (limit.signal.aborted) void fleet.end(server, order.name, signal).catch(() => {})
    if (++failed >= MAX_FAILED) break
  }
  return failed > 0 ? { kind: 'failed', why, asked } : { kind: 'none', asked }
}

function orderOf({ room, participant, track, ...wish }: Wish, before: Placement | undefined): Order {
  const same = before?.participant === participant && before.track === track && before.pipeline !== ''
  const pipeline = same ? before.pipeline : wish.pipeline
  const params = same && before.params ? before.params : wish.params
  return {
    name: streamNameOf(room),
    input: { type: 'livekit', room, participant, track },
    ...(pipeline !== undefined && { pipeline }),
    ...(params && { params }),
  }
}
