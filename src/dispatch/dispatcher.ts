import type { Log } from '../core/log.ts'
import { type Closed, type Context, type Resource, Scope } from '../core/resource.ts'
import type { Clock } from './clock.ts'
import { type Action, type Cause, decide, type Since } from './decide.ts'
import type { RoomState, Rooms } from './livekit/rooms.ts'
import { type Placed, place } from './place.ts'
import { choose, concerns, type Rule } from './rules.ts'
import { Fleet } from './servers/fleet.ts'
import { Limit } from './servers/limit.ts'
import type { ServerTransport } from './servers/servers.ts'

/** Webhooks may be lost, so all rooms are checked at this interval. */
const RESYNC_MS = 30_000
const FIRST_HEARD_MS = 3000
const FIRST_LOOK_MS = 100
/** A failed action is retried after a pause that grows up to this. */
const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000
/** Limit of concurrent LiveKit requests. */
const MAX_LOOKS = 64
/** Limit of rooms with pending work; others wait for the next check of all rooms. */
const MAX_ROOMS = 100_000

export type DispatcherOptions = {
  transport: ServerTransport
  rooms: Rooms
  rules: readonly Rule[]
  clock: Clock
  /** Called for each placement. */
  onPlaced?(placed: { room: string; server: string; cause: Cause; asked: number; ms: number }): void
}

export type DispatchCounts = {
  placed: Record<Cause, number>
  asked: number
  /** Attempts that found no free place. */
  full: number
  failed: number
  rejected: number
  ended: number
  livekitErrors: number
}

/** Reason for ending a pause; shared, because an error per pause would cost more than the check that follows. */
const AWAKE = new Error('awake')

/** The work in one room. */
type Work = {
  since: Since
  again: boolean
  wake: AbortController | undefined
  failures: number
  /** When something had to be placed first. */
  wantedAt: number | undefined
}

/**
 * Makes sure that each requesting room has its track processed by exactly one server. It is stateless: requests are in
 * LiveKit and in the rules, placements come from the servers, and each check compares the two. So it may restart at any
 * time, and two dispatchers at once do no harm.
 */
export class Dispatcher implements Resource {
  readonly closed: Promise<Closed>
  readonly fleet: Fleet
  readonly counts: DispatchCounts = {
    placed: { new: 0, lost: 0, drain: 0, stalled: 0, missing: 0 },
    ...{ asked: 0, full: 0, failed: 0, rejected: 0, ended: 0, livekitErrors: 0 },
  }
  readonly #options: DispatcherOptions
  readonly #log: Log
  readonly #scope: Scope
  readonly #looks = new Limit(MAX_LOOKS)
  readonly #works = new Map<string, Work>()
  /** Rooms without a free place, in order of arrival. */
  readonly #waiting = new Set<string>()
  readonly #heard = Promise.withResolvers<void>()
  #ready = false

  constructor(options: DispatcherOptions, context: Context) {
    this.#options = options
    this.#log = context.log
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    const { transport, clock } = options
    const inner = { signal: this.#scope.signal, log: context.log }
    this.fleet = this.#scope.use(
      new Fleet(
        {
          ...{ transport, clock },
          onRooms: (rooms) => {
            for (const room of rooms) this.notice(room)
          },
          onFree: () => this.#wakeWaiting(),
        },
        inner,
      ),
    )
    this.#scope.spawn((signal) => this.#lookThrough(signal))
  }

  /** True once it knows its servers, and LiveKit has listed the rooms. */
  get ready(): boolean {
    return this.#ready
  }

  /** Rooms that wait for a free place. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Something has changed in a room. */
  notice(room: string): void {
    if (this.#scope.reason) return
    const work = this.#works.get(room)
    if (work) {
      work.again = true
      work.wake?.abort(AWAKE)
      return
    }
    if (this.#works.size >= MAX_ROOMS) return
    const fresh: Work = { since: {}, again: false, wake: undefined, failures: 0, wantedAt: undefined }
    this.#works.set(room, fresh)
    void this.#attend(room, fresh).catch((err) => {
      if (!this.#scope.signal.aborted) this.#log.error({ room, err }, 'room could not be attended to')
    })
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Checks all rooms regularly. */
  async #lookThrough(signal: AbortSignal): Promise<Closed> {
    const { rooms, rules, clock } = this.#options
    const end = clock.now() + FIRST_HEARD_MS
    while (!this.fleet.heard && clock.now() < end) await clock.sleep(FIRST_LOOK_MS, signal)
    this.#heard.resolve()
    for (let failures = 0; ; ) {
      try {
        const all = await rooms.list(signal)
        const names = new Set(all.map(({ name }) => name))
        for (const room of all) {
          const held = this.fleet.holders(room.name).some(({ draining, stalled }) => !draining && !stalled)
          // If the room's only publisher is the stream itself, it has nothing to process.
          if (held ? room.publishers < 2 : room.publishers > 0 && concerns(room, rules)) this.notice(room.name)
        }
        for (const room of [...this.fleet.rooms]) if (!names.has(room)) this.notice(room)
        this.#ready = true
        failures = 0
        await clock.sleep(RESYNC_MS, signal)
      } catch (err) {
        signal.throwIfAborted()
        this.counts.livekitErrors++
        this.#log.warn({ err }, 'rooms could not be listed')
        await clock.sleep(pauseAfter(failures++), signal)
      }
    }
  }

  /** Acts in one room until there is nothing left to do. */
  async #attend(room: string, work: Work): Promise<void> {
    const { signal } = this.#scope
    try {
      await this.#heard.promise
      while (!signal.aborted) {
        work.again = false
        const waitMs = await this.#act(room, work, signal)
        if (work.again) continue
        if (waitMs === undefined) return
        await this.#pause(waitMs, work, signal)
      }
    } finally {
      this.#works.delete(room)
      this.#waiting.delete(room)
    }
  }

  /** Returns after how many milliseconds to check again; undefined if all is well. */
  async #act(room: string, work: Work, signal: AbortSignal): Promise<number | undefined> {
    let state: RoomState | undefined
    try {
      state = await this.#looks.run(() => this.#options.rooms.look(room, signal))
    } catch (err) {
      signal.throwIfAborted()
      this.counts.livekitErrors++
      this.#log.warn({ room, err }, 'room could not be looked at')
      return pauseAfter(work.failures++)
    }
    const holders = this.fleet.holders(room)
    const lost = this.fleet.lost(room)
    const { wish, error } = state ? choose(state, this.#options.rules, holders[0] ?? lost) : {}
    if (error !== undefined) this.#log.warn({ room, why: error }, 'metadata of a room is not understood')
    const now = this.#options.clock.now()
    const action = decide({ now, state, wish, holders, lost, since: work.since })
    if (action.kind !== 'place') {
      this.#waiting.delete(room)
      work.wantedAt = undefined
    }
    if (action.kind === 'none') return undefined
    if (action.kind === 'wait') return action.ms
    if (action.kind === 'end') return await this.#end(room, action, work, signal)
    work.wantedAt ??= now
    return await this.#place(room, action, work, signal)
  }

  async #place(
    room: string,
    action: Extract<Action, { kind: 'place' }>,
    work: Work,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { clock, onPlaced } = this.#options
    const { fleet, counts } = this
    const { wish, not, before, why: cause } = action
    const placed: Placed = await place({ fleet, clock, wish, not, before, log: this.#log, signal })
    const { asked } = placed
    counts.asked += asked
    if (placed.kind === 'placed') {
      const { server } = placed
      const ms = clock.now() - (work.wantedAt ?? clock.now())
      counts.placed[cause]++
      this.#waiting.delete(room)
      work.failures = 0
      work.wantedAt = undefined
      this.#log.info({ room, server, cause, asked, ms: Math.round(ms) }, 'room placed')
      onPlaced?.({ room, server, cause, asked, ms })
      // The server reports going on air, which triggers the next check.
      return cause === 'new' || cause === 'lost' ? undefined : FIRST_PAUSE_MS
    }
    if (placed.kind === 'theirs') {
      this.#waiting.delete(room)
      work.wantedAt = undefined
      return FIRST_PAUSE_MS
    }
    if (placed.kind === 'none') {
      counts.full++
      if (!this.#waiting.has(room)) this.#log.warn({ room, cause }, 'no server has a free place')
      this.#waiting.add(room)
      return MAX_PAUSE_MS
    }
    counts[placed.kind]++
    this.#log.error(
      { room, cause, why: placed.why },
      placed.kind === 'rejected' ? 'servers refuse a room' : 'room could not be placed',
    )
    return placed.kind === 'rejected' ? MAX_PAUSE_MS : pauseAfter(work.failures++)
  }

  async #end(
    room: string,
    { holders, why }: Extract<Action, { kind: 'end' }>,
    work: Work,
    signal: AbortSignal,
  ): Promise<number> {
    for (const { server, stream } of holders) {
      try {
        await this.fleet.end(server, stream, signal)
        this.counts.ended++
        this.#log.info({ room, server, why }, 'stream ended')
      } catch (err) {
        signal.throwIfAborted()
        this.#log.warn({ room, server, err }, 'stream could not be ended')
        return pauseAfter(work.failures++)
      }
    }
    work.since = {}
    // Until the servers have reported it.
    return FIRST_PAUSE_MS
  }

  async #pause(ms: number, work: Work, signal: AbortSignal): Promise<void> {
    const wake = new AbortController()
    work.wake = wake
    await this.#options.clock.sleep(ms, AbortSignal.any([wake.signal, signal])).catch(() => {})
    work.wake = undefined
  }

  /** Wakes as many waiting rooms as there are places. */
  #wakeWaiting(): void {
    if (this.#waiting.size === 0) return
    let { free } = this.fleet
    for (const room of this.#waiting) {
      if (free-- <= 0) return
      // It rejoins at the end of the queue if necessary.
      this.#waiting.delete(room)
      this.notice(room)
    }
  }
}

function pauseAfter(failures: number): number {
  return Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 10))
}
