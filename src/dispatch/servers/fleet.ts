import type { Log } from '../../core/log.ts'
import { type Closed, type Context, type Resource, Scope } from '../../core/resource.ts'
import type { Placement, Placements } from '../../stream/remote/placements.ts'
import type { Clock } from '../clock.ts'
import { inOrder, type Ranked, seedOf } from './order.ts'
import { type Holder, type Order, readLine, type ServerTransport, type StartOutcome } from './servers.ts'

/** Servers report three times a second; silence of this length means that a server has stopped or is unreachable. */
const SILENT_MS = 1200
const SWEEP_MS = 200
const RESOLVE_MS = 2000
const RECONNECT_MS = 250
const RECONNECT_MAX_MS = 2000
/** A started stream is assumed to exist for this long until its server reports it. */
const ASSUMED_MS = 2000
/** How long the placements of a lost server are remembered. */
const LOST_MS = 60_000
const MAX_SERVERS = 10_000
const OVER = new Error('the connection is over')

export type FleetOptions = {
  transport: ServerTransport
  clock: Clock
  /** Something about these rooms has changed. */
  onRooms(rooms: Iterable<string>): void
  /** A server has a free place again. */
  onFree(): void
}

type Server = {
  seed: number
  /** Listed in MILLRACE_SERVERS. */
  known: boolean
  heardAt: number
  line: Placements | undefined
  /** Streams started by us and not yet reported, by name. */
  assumed: Map<string, { placement: Placement; until: number }>
  /** Ends the connection on which it reports. */
  cut: AbortController | undefined
  /** Aborts when it is lost. */
  life: AbortController
  /** Its rooms in the index. */
  rooms: Set<string>
  tried: boolean
}

type Lost = { at: number; placement: Placement }

/** The servers, as each of them reports. Nothing is stored: after a restart all is reported again. */
export class Fleet implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: FleetOptions
  readonly #log: Log
  readonly #scope: Scope
  readonly #servers = new Map<string, Server>()
  readonly #rooms = new Map<string, Map<string, Placement>>()
  readonly #lost = new Map<string, Lost>()
  #resolved = false
  #sweptAt: number

  constructor(options: FleetOptions, context: Context) {
    this.#options = options
    this.#log = context.log
    this.#sweptAt = options.clock.now()
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#scope.defer(options.clock.every(SWEEP_MS, () => this.#sweep()))
    this.#scope.spawn((signal) => this.#follow(signal))
  }

  /** True once each server has reported or could not be reached. */
  get heard(): boolean {
    return this.#resolved && [...this.#servers.values()].every(({ line, tried }) => line || tried)
  }

  /** Number of streams that all servers together would take now. */
  get free(): number {
    let free = 0
    for (const server of this.#servers.values()) free += Math.max(0, freeAt(server))
    return free
  }

  get counts(): { servers: number; reached: number; free: number; streams: number } {
    const all = [...this.#servers.values()]
    const reached = all.filter(({ line }) => line)
    const streams = reached.reduce((sum, { line }) => sum + (line?.streams.length ?? 0), 0)
    return { servers: all.length, reached: reached.length, free: this.free, streams }
  }

  /** What the servers hold for a room. */
  holders(room: string): Holder[] {
    return [...(this.#rooms.get(room) ?? [])].map(([server, placement]) => ({
      ...placement,
      server,
      draining: this.#servers.get(server)?.line?.draining ?? false,
    }))
  }

  /** Rooms that some server holds. */
  get rooms(): Iterable<string> {
    return this.#rooms.keys()
  }

  /** What a server held for the room when it was lost, within the last minute. */
  lost(room: string): Placement | undefined {
    const lost = this.#lost.get(room)
    return lost && this.#options.clock.now() - lost.at < LOST_MS ? lost.placement : undefined
  }

  /** Servers with a free place, in the order for that room. */
  candidates(room: string, not: ReadonlySet<string>): Generator<string> {
    const free: Ranked[] = []
    for (const [name, server] of this.#servers)
      if (freeAt(server) > 0 && !not.has(name)) free.push({ name, seed: server.seed })
    return inOrder(room, free)
  }

  hasPlace(server: string): boolean {
    const found = this.#servers.get(server)
    return found !== undefined && freeAt(found) > 0
  }

  async start(name: string, order: Order, signal: AbortSignal): Promise<StartOutcome> {
    const server = this.#servers.get(name)
    if (!server?.line) return { kind: 'failed', why: 'the server is gone' }
    const { transport, clock } = this.#options
    try {
      // A server that falls silent will not answer either.
      const outcome = await transport.start(name, order, AbortSignal.any([signal, server.life.signal]))
      if (outcome.kind === 'started' && server.line) {
        const { room, participant, track } = order.input
        const placement: Placement = {
          ...{ stream: order.name, room, participant, track },
          ...{ startedAt: Date.now(), onAir: false, aired: false, stalled: false, pipeline: order.pipeline ?? '' },
          ...(order.params && { params: order.params }),
        }
        server.assumed.set(order.name, { placement, until: clock.now() + ASSUMED_MS })
        this.#index(name, server)
      }
      return outcome
    } catch (thrown) {
      if (signal.aborted) throw thrown
      return { kind: 'failed', why: server.line ? (thrown as Error).message : 'the server was lost' }
    }
  }

  async end(server: string, stream: string, signal: AbortSignal): Promise<void> {
    await this.#options.transport.end(server, stream, signal)
  }

  async #follow(signal: AbortSignal): Promise<Closed> {
    const { transport, clock } = this.#options
    for (;;) {
      try {
        const names = new Set((await transport.resolve(signal)).slice(0, MAX_SERVERS))
        for (const [name, server] of this.#servers) server.known = names.has(name)
        // A removed server is listened to until its last stream has ended.
        for (const name of names) if (!this.#servers.has(name)) this.#add(name)
        this.#resolved = true
      } catch (err) {
        if (signal.aborted) throw err
        this.#log.warn({ err }, 'servers could not be looked up')
      }
      await clock.sleep(RESOLVE_MS, signal)
    }
  }

  #add(name: string): void {
    const server: Server = {
      ...{ seed: seedOf(name), known: true, heardAt: 0, line: undefined, assumed: new Map(), tried: false },
      ...{ cut: undefined, life: new AbortController(), rooms: new Set() },
    }
    this.#servers.set(name, server)
    void this.#hearAll(name, server, this.#scope.signal).catch(() => {})
  }

  /** Listens to one server as long as it is listed. */
  async #hearAll(name: string, server: Server, signal: AbortSignal): Promise<void> {
    const { transport, clock } = this.#options
    for (let pauseMs = RECONNECT_MS; !signal.aborted; pauseMs = Math.min(RECONNECT_MAX_MS, pauseMs * 2)) {
      const cut = new AbortController()
      server.cut = cut
      if (!server.line) server.heardAt = clock.now()
      let spoke = false
      const hear = (line: unknown) => {
        if (cut.signal.aborted) return
        spoke = true
        this.#hear(name, server, line)
      }
      const listening = transport.listen(name, hear, AbortSignal.any([cut.signal, signal]))
      await listening.catch((err) => this.#log.debug({ server: name, err }, 'server is not reached'))
      const silent = cut.signal.aborted
      cut.abort(OVER)
      server.tried = true
      if (signal.aborted) return
      // A connection may end while the server lives: it is lost only if it accepts no new one.
      if (!spoke || silent) this.#lose(name, server)
      else pauseMs = RECONNECT_MS / 2
      if (!server.line && !server.known) break
      await clock.sleep(pauseMs, signal)
    }
    this.#servers.delete(name)
  }

  #hear(name: string, server: Server, line: unknown): void {
    server.heardAt = this.#options.clock.now()
    const state = readLine(line)
    if (!state) return
    if (!server.line) this.#log.info({ server: name, streams: state.streams.length }, 'server is heard')
    const before = new Map(server.line?.streams.map((one) => [one.room, one]))
    const wasDraining = server.line?.draining ?? false
    server.line = state
    for (const { stream } of state.streams) server.assumed.delete(stream)
    const changed = new Set<string>()
    for (const one of state.streams) {
      const old = before.get(one.room)
      before.delete(one.room)
      if (!old || old.onAir !== one.onAir || old.stalled !== one.stalled || state.draining !== wasDraining)
        changed.add(one.room)
      if (one.onAir && this.#isFound(one, old)) this.#lost.delete(one.room)
    }
    for (const room of before.keys()) changed.add(room)
    this.#index(name, server)
    if (changed.size > 0) this.#options.onRooms(changed)
    if (freeAt(server) > 0) this.#options.onFree()
  }

  /**
   * Whether the lost placement of its room has come back, or has been replaced. A server that resumes also says that it
   * is on the air, but with an earlier participant.
   */
  #isFound({ room, sid }: Placement, before: Placement | undefined): boolean {
    return before?.onAir === false || this.#lost.get(room)?.placement.sid === sid
  }

  #lose(name: string, server: Server): void {
    const held = placementsOf(server)
    if (server.line) this.#log.warn({ server: name, streams: held.length }, 'server is lost')
    server.line = undefined
    server.assumed.clear()
    server.life.abort(OVER)
    server.life = new AbortController()
    this.#index(name, server)
    const at = this.#options.clock.now()
    for (const placement of held) this.#lost.set(placement.room, { at, placement })
    if (held.length > 0) this.#options.onRooms(held.map(({ room }) => room))
  }

  /** Updates the index with one server's rooms. */
  #index(name: string, server: Server): void {
    const held = placementsOf(server)
    const now = new Set(held.map(({ room }) => room))
    for (const room of server.rooms) {
      const holders = this.#rooms.get(room)
      if (now.has(room) || !holders) continue
      holders.delete(name)
      if (holders.size === 0) this.#rooms.delete(room)
    }
    for (const placement of held) {
      const holders = this.#rooms.get(placement.room) ?? new Map<string, Placement>()
      this.#rooms.set(placement.room, holders.set(name, placement))
    }
    server.rooms = now
  }

  #sweep(): void {
    const now = this.#options.clock.now()
    // A delay of this process is not a silence of the servers.
    const lateMs = Math.max(0, now - this.#sweptAt - 2 * SWEEP_MS)
    this.#sweptAt = now
    for (const [name, server] of this.#servers) {
      server.heardAt += lateMs
      if (server.cut && now - server.heardAt > SILENT_MS) server.cut.abort(OVER)
      if (server.assumed.size === 0) continue
      const expired = [...server.assumed].filter(([, { until }]) => until < now)
      if (expired.length === 0) continue
      for (const [stream] of expired) server.assumed.delete(stream)
      this.#index(name, server)
      this.#options.onRooms(expired.map(([, { placement }]) => placement.room))
    }
    for (const [room, { at }] of this.#lost) if (now - at > LOST_MS) this.#lost.delete(room)
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/**
 * As the server reports, regardless of what this dispatcher has asked since: with own counts two dispatchers would skip
 * different servers, and place a room twice. A full server says so at once.
 */
function freeAt({ line }: Server): number {
  return line && !line.draining ? line.free : 0
}

function placementsOf({ line, assumed }: Server): Placement[] {
  return [...[...assumed.values()].map(({ placement }) => placement), ...(line?.streams ?? [])]
}
