import type { Placement } from '../stream/remote/placements.ts'
import { type Participant, processorOf, type RoomState } from './livekit/rooms.ts'
import type { Wish } from './rules.ts'
import type { Holder } from './servers/servers.ts'

/** A publisher who reconnects within this time finds the stream unchanged, even if its LiveKit node died. */
export const ABSENT_MS = 15_000
/** A processed track that left must be back within this time, otherwise its server cannot reach LiveKit. */
export const MISSING_MS = 2000
/** A published track must be in LiveKit's list within this time. */
export const UNSEEN_MS = 10_000
/** A stream must have been in the room within this time; its server has 20 s to receive the first packet. */
export const UNAIRED_MS = 30_000
/** Minimum time between two moves for that reason, because it may be missing elsewhere too. */
export const MOVE_MS = 30_000
/** A stream that was taken over ends by itself; after this time it is ended. */
export const OVERLAP_MS = 3000
/** LiveKit needs this long to notice that a participant has died, plus a second. */
export const UNKNOWN_MS = 16_000

/** When a condition in a room began, on the dispatcher's clock. */
export type Since = {
  absent?: number
  missing?: number
  moved?: number
  other?: number
  overlap?: number
  unaired?: number
  unknown?: number
}

export type Sight = {
  now: number
  /** Undefined if the room is gone. */
  state: RoomState | undefined
  wish: Wish | undefined
  holders: readonly Holder[]
  /** The placement of a recently lost server. */
  lost: Placement | undefined
  since: Since
}

export type Action =
  | { kind: 'none' }
  /** Look again after `ms`. */
  | { kind: 'wait'; ms: number; why: Exclude<keyof Since, 'moved'> }
  | { kind: 'end'; holders: readonly Holder[]; why: 'not-wanted' | 'other-track' | 'taken-over' }
  /** On another server than `not`, continuing from `before`. */
  | { kind: 'place'; wish: Wish; not: ReadonlySet<string>; before: Placement | undefined; why: Cause }

/** Why a stream is placed. */
export type Cause = 'new' | 'lost' | 'drain' | 'stalled' | 'missing'

/** Decides what to do in a room; records in `since` how long conditions have lasted. */
export function decide(sight: Sight): Action {
  const { now, state, wish, holders, lost, since } = sight
  if (!wish || !state) {
    if (holders.length === 0) return { kind: 'none' }
    // A draining server waits for its last stream, but not for a publisher who may return.
    const leaving = holders.filter(({ draining }) => draining)
    if (leaving.length > 0) return { kind: 'end', holders: leaving, why: 'not-wanted' }
    return after('absent', ABSENT_MS, now, since) ?? { kind: 'end', holders, why: 'not-wanted' }
  }
  delete since.absent
  const [others, fitting] = split(holders, (one) => one.track === wish.track && one.participant === wish.participant)
  const stale = others.filter(({ draining }) => !draining)
  // The server itself finds the track of a returning publisher.
  if (stale.length > 0)
    return after('other', ABSENT_MS, now, since) ?? { kind: 'end', holders: stale, why: 'other-track' }
  delete since.other
  const usable = fitting.filter(({ draining, stalled }) => !draining && !stalled)
  const processor = processorOf(state)
  const best = bestOf(usable, processor)
  const not = new Set(holders.map(({ server }) => server))
  if (!best) return place(sight, wish, not, fitting[0] ?? lost)
  const move = (): Action => {
    const againMs = (since.moved ?? Number.NEGATIVE_INFINITY) + MOVE_MS - now
    if (againMs > 0) return { kind: 'wait', ms: againMs, why: 'missing' }
    since.moved = now
    return { kind: 'place', wish, not, before: best, why: 'missing' }
  }
  if (!best.aired && !best.onAir) return after('unaired', UNAIRED_MS, now, since) ?? move()
  delete since.unaired
  if (best.aired && (!processor || isDead(processor, lost, holders)))
    return after('missing', best.onAir ? UNSEEN_MS : MISSING_MS, now, since) ?? move()
  delete since.missing
  const rest = holders.filter((one) => one !== best)
  if (rest.length === 0) {
    delete since.overlap
    return { kind: 'none' }
  }
  // The old stream is not ended before the new one is visible.
  if (!best.onAir) return { kind: 'wait', ms: OVERLAP_MS, why: 'overlap' }
  return after('overlap', OVERLAP_MS, now, since) ?? { kind: 'end', holders: rest, why: 'taken-over' }
}

function place(
  { now, state, holders, lost, since }: Sight,
  wish: Wish,
  not: Set<string>,
  before: Placement | undefined,
): Action {
  const processor = state && processorOf(state)
  if (holders.length === 0 && processor && !isDead(processor, lost, holders)) {
    // Some server has the room that has not reported yet. If it has died, LiveKit will notice.
    return after('unknown', UNKNOWN_MS, now, since) ?? { kind: 'wait', ms: UNKNOWN_MS, why: 'unknown' }
  }
  delete since.unknown
  const why = holders.some(({ draining }) => draining)
    ? 'drain'
    : holders.length > 0
      ? 'stalled'
      : lost
        ? 'lost'
        : 'new'
  return { kind: 'place', wish, not, before, why }
}

/**
 * The holder with the identity in the room, else one that believes so, else the newest. A server that was stopped does
 * not know yet that it was replaced.
 */
function bestOf(holders: readonly Holder[], processor: Participant | undefined): Holder | undefined {
  const rank = (one: Holder) => Number(one.onAir) + 2 * Number(one.sid !== undefined && one.sid === processor?.sid)
  return holders.toSorted((a, b) => rank(b) - rank(a) || b.startedAt - a.startedAt)[0]
}

/** Whether the participant that LiveKit still shows was a server that is lost. */
function isDead({ sid }: Participant, lost: Placement | undefined, holders: readonly Holder[]): boolean {
  if (!lost || holders.some((one) => one.sid === sid)) return false
  // One that was lost while it started may have been started to replace another one that was lost.
  return lost.sid === sid || (lost.sid === undefined && holders.length === 0)
}

function after(
  what: Exclude<keyof Since, 'moved'>,
  ms: number,
  now: number,
  since: Since,
): Extract<Action, { kind: 'wait' }> | undefined {
  since[what] ??= now
  const left = since[what] + ms - now
  return left > 0 ? { kind: 'wait', ms: left, why: what } : undefined
}

function split<T>(all: readonly T[], test: (one: T) => boolean): [no: T[], yes: T[]] {
  return [all.filter((one) => !test(one)), all.filter(test)]
}
