import { AppError } from '../../src/core/errors.ts'
import type { Order, ServerTransport, StartOutcome } from '../../src/dispatch/servers/servers.ts'
import type { Placement, Placements } from '../../src/stream/remote/placements.ts'
import type { Chance, SimulatedClock } from './clock.ts'
import type { Lock, SimulatedLiveKit } from './livekit.ts'

/** Measured with LiveKit 1.13.5: the first packet of a subscription comes 1.1 s after the request … */
const SUBSCRIBE_MS = [600, 1500] as const
/** … and a processed track is in the room 0.4 s after it is published. */
const PUBLISH_MS = [250, 500] as const
/** A server that was told to end leaves when it is empty, or after this time. */
const DRAIN_MS = 25_000
const HEARTBEAT_MS = 300
const CHANGE_MS = 100
/** A superseded stream notices when it tries to come back. */
const SUPERSEDED_MS = [500, 1500] as const

type Stream = Placement & { lock: Lock | undefined }
type Listener = { hear(line: unknown): void; end(thrown?: Error): void }

export type SimulatedServer = {
  name: string
  state: 'alive' | 'stopped' | 'dead'
  draining: boolean
  streams: Map<string, Stream>
  /** Requested, without media yet. */
  pending: Map<string, Placement>
  listeners: Set<Listener>
  /** Something has changed that it has not reported. */
  news: boolean
}

export type SimulatedServersOptions = {
  clock: SimulatedClock
  chance: Chance
  livekit: SimulatedLiveKit
  capacity: number
  onAir(room: string, server: string): void
  /** A stream of a room begins there while others of the same room run. */
  onStart(room: string, server: SimulatedServer, others: SimulatedServer[]): void
}

/** Servers that behave like real ones towards a dispatcher, without media. */
export class SimulatedServers {
  readonly servers = new Map<string, SimulatedServer>()
  readonly runs = new Map<string, Set<SimulatedServer>>()
  requests = 0
  readonly #options: SimulatedServersOptions
  #made = 0

  constructor(options: SimulatedServersOptions) {
    this.#options = options
    options.clock.every(HEARTBEAT_MS, () => {
      for (const { state, listeners } of this.servers.values())
        if (state === 'alive') for (const one of listeners) one.hear({})
    })
    options.clock.every(CHANGE_MS, () => {
      for (const server of this.servers.values()) this.#tell(server)
    })
  }

  add(): SimulatedServer {
    const n = this.#made++
    const server: SimulatedServer = {
      ...{ name: `http://10.${n >> 16}.${(n >> 8) & 255}.${n & 255}:8000`, state: 'alive', draining: false },
      ...{ streams: new Map(), pending: new Map(), listeners: new Set(), news: false },
    }
    this.servers.set(server.name, server)
    return server
  }

  get alive(): SimulatedServer[] {
    return [...this.servers.values()].filter(({ state, draining }) => state === 'alive' && !draining)
  }

  /** kill -9; its connections end, and its name disappears when Kubernetes has noticed. */
  kill(server: SimulatedServer): void {
    if (server.state === 'dead') return
    server.state = 'dead'
    for (const stream of [...server.streams.values()]) this.#drop(server, stream, 'die')
    for (const one of server.listeners) one.end()
    server.listeners.clear()
    this.#options.clock.after(5000, () => this.servers.delete(server.name))
  }

  /** SIGSTOP, or a network failure; ends after `ms`. */
  stop(server: SimulatedServer, ms: number): void {
    if (server.state !== 'alive') return
    server.state = 'stopped'
    for (const { room, lock } of server.streams.values()) if (lock) this.#options.livekit.die(room, lock)
    this.#options.clock.after(ms, () => {
      if (server.state !== 'stopped') return
      server.state = 'alive'
      for (const stream of [...server.streams.values()]) {
        // If somebody else has the identity by then, they keep it; otherwise it continues.
        const { livekit } = this.#options
        const room = livekit.rooms.get(stream.room)
        if (!room || (room.lock && room.lock !== stream.lock)) this.#drop(server, stream, 'leave')
        else if (room.lock) room.lock.gone?.()
        else this.#publish(server, stream)
      }
    })
  }

  /** An encoder that gives no more output; the server reports it. */
  stall(server: SimulatedServer, stream: string): void {
    const found = server.streams.get(stream)
    if (!found) return
    found.stalled = true
    server.news = true
  }

  /** SIGTERM; resolves when it has left. */
  async drain(server: SimulatedServer): Promise<number> {
    const { clock } = this.#options
    const began = clock.now()
    server.draining = true
    server.news = true
    while (server.streams.size > 0 && clock.now() - began < DRAIN_MS) await clock.sleep(200)
    const ms = clock.now() - began
    for (const stream of [...server.streams.values()]) this.#drop(server, stream, 'leave')
    this.kill(server)
    return ms
  }

  /** As one dispatcher reaches them. */
  transport(): ServerTransport {
    const { clock, chance } = this.#options
    const trip = () => clock.sleep(chance.between(0.5, 3))
    return {
      resolve: async () => [...this.servers.keys()],
      listen: async (name, hear, signal) => {
        await trip()
        const server = this.#reach(name)
        await new Promise<void>((resolve, reject) => {
          const one: Listener = { hear, end: (thrown) => (thrown ? reject(thrown) : resolve()) }
          server.listeners.add(one)
          if (server.state === 'alive') hear(this.#line(server))
          signal.addEventListener('abort', () => {
            server.listeners.delete(one)
            resolve()
          })
        })
      },
      start: async (name, order, signal) => {
        this.requests++
        await trip()
        const server = this.#reach(name)
        if (server.state === 'stopped') await never(signal)
        return await this.#start(server, order, signal)
      },
      end: async (name, stream, signal) => {
        await trip()
        const server = this.#reach(name)
        if (server.state === 'stopped') await never(signal)
        const found = server.streams.get(stream)
        if (found) this.#drop(server, found, 'leave')
      },
    }
  }

  #reach(name: string): SimulatedServer {
    const server = this.servers.get(name)
    if (server && server.state !== 'dead') return server
    throw new AppError('peer-failed', 'connection refused')
  }

  async #start(server: SimulatedServer, order: Order, signal: AbortSignal): Promise<StartOutcome> {
    const { clock, chance, livekit, capacity } = this.#options
    const { room, participant, track } = order.input
    if (server.streams.has(order.name) || server.pending.has(order.name)) return { kind: 'there' }
    if (server.draining || server.streams.size + server.pending.size >= capacity) return { kind: 'full' }
    const placement: Placement = {
      ...{ stream: order.name, room, participant, track, startedAt: clock.now() },
      ...{ onAir: false, aired: false, stalled: false, pipeline: order.pipeline ?? '' },
    }
    server.pending.set(order.name, placement)
    server.news = true
    await clock.sleep(chance.between(...SUBSCRIBE_MS))
    server.pending.delete(order.name)
    server.news = true
    if (server.state === 'dead') throw new AppError('peer-failed', 'the connection was reset')
    if (server.state === 'stopped') await never(signal)
    if (!livekit.rooms.has(room)) return { kind: 'failed', why: '404: no such track' }
    const stream: Stream = { ...placement, lock: undefined }
    const running = this.runs.get(room) ?? new Set()
    this.#options.onStart(room, server, [...running])
    this.runs.set(room, running.add(server))
    server.streams.set(order.name, stream)
    server.news = true
    this.#publish(server, stream)
    return { kind: 'started' }
  }

  #publish(server: SimulatedServer, stream: Stream): void {
    const { clock, chance, livekit, onAir } = this.#options
    clock.after(chance.between(...PUBLISH_MS), () => {
      if (server.state !== 'alive' || server.streams.get(stream.stream) !== stream) return
      const lock: Lock = {
        server: server.name,
        leave: () => {
          stream.onAir = false
          server.news = true
          clock.after(chance.between(...SUPERSEDED_MS), () => {
            if (server.state === 'alive') this.#drop(server, stream, 'leave')
          })
        },
      }
      stream.lock = lock
      stream.onAir = livekit.join(stream.room, lock)
      stream.aired ||= stream.onAir
      server.news = true
      if (stream.onAir) onAir(stream.room, server.name)
    })
  }

  #drop(server: SimulatedServer, stream: Stream, how: 'leave' | 'die'): void {
    if (!server.streams.delete(stream.stream)) return
    server.news = true
    const running = this.runs.get(stream.room)
    running?.delete(server)
    if (running?.size === 0) this.runs.delete(stream.room)
    if (stream.lock) this.#options.livekit[how](stream.room, stream.lock)
  }

  #line({ draining, streams, pending }: SimulatedServer): Placements {
    const running = [...streams.values()].map(({ lock: _, ...placement }) => placement)
    const free = draining ? 0 : this.#options.capacity - streams.size - pending.size
    return { draining, free, streams: [...running, ...pending.values()] }
  }

  #tell(server: SimulatedServer): void {
    if (!server.news || server.state !== 'alive') return
    server.news = false
    const line = this.#line(server)
    for (const one of server.listeners) one.hear(line)
  }
}

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}
