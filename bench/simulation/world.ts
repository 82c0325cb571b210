import { Dispatcher } from '../../src/dispatch/dispatcher.ts'
import { streamNameOf } from '../../src/dispatch/stream-name.ts'
import { Chance, SimulatedClock } from './clock.ts'
import { SimulatedLiveKit } from './livekit.ts'
import { type SimulatedServer, SimulatedServers } from './servers.ts'

/** The simulation's parameters; rates are means of independent events. */
export type Plan = {
  seed: number
  dispatchers: number
  servers: number
  /** Streams per server. */
  capacity: number
  streams: number
  minutes: number
  /** How long a publisher stays. */
  stayMs: number
  /**
   * Mean interval, over all servers, of a killed process, of one stopped for a minute, and of a stream with a stuck
   * encoder.
   */
  killEveryMs: number
  stopEveryMs: number
  stallEveryMs: number
  /** Share of lost webhooks. */
  webhookLoss: number
}

type Cause = 'kill' | 'stop' | 'stall'

/** All in milliseconds. */
export type Seen = {
  /** From the publisher's track to the processed one. */
  placed: number[]
  /** From the failure to the processed track of another server. */
  gaps: Record<Cause, number[]>
  /** From SIGTERM to the end of the server; and how many did not hand over all streams. */
  drains: number[]
  drainedInVain: number
  placements: number
  requests: number
  livekitRequests: number
  /** Starts while a stream of the room ran well on another server, and how long both ran. */
  twice: number[]
  /** Rooms without a processed track at the end, and streams without a room. */
  forgotten: number
  orphans: number
  counts: { kills: number; stops: number; stalls: number; drains: number; rooms: number }
  /** Once a second: wanted, processed, places of all servers. */
  course: [at: number, wanted: number, onAir: number, places: number][]
}

const RAMP_MS = 60_000
/** At the end no more events happen, and pending work is finished. */
const QUIET_MS = 60_000
const RACK = 0.05
const ROLL = 0.1

/** Runs the dispatcher's own code with simulated servers, rooms and clock. */
export async function simulate(plan: Plan, say: (line: string) => void): Promise<Seen> {
  const clock = new SimulatedClock()
  const chance = new Chance(plan.seed)
  const seen: Seen = {
    ...{ placed: [], gaps: { kill: [], stop: [], stall: [] }, drains: [], drainedInVain: 0 },
    ...{ placements: 0, requests: 0, livekitRequests: 0, twice: [], forgotten: 0, orphans: 0 },
    ...{ counts: { kills: 0, stops: 0, stalls: 0, drains: 0, rooms: 0 }, course: [] },
  }
  const dispatchers = new Set<Dispatcher>()
  const livekit = new SimulatedLiveKit({
    ...{ clock, chance },
    webhook: (room) => {
      for (const one of dispatchers)
        if (chance.next() >= plan.webhookLoss) clock.after(chance.between(5, 50), () => one.notice(room))
    },
  })
  /** Rooms without a processed track, since when and why. */
  const dark = new Map<string, { since: number; cause: Cause | 'new' }>()
  const doubles = new Map<string, number>()
  const servers = new SimulatedServers({
    ...{ clock, chance, livekit, capacity: plan.capacity },
    onAir: (room) => {
      const was = dark.get(room)
      if (!was) return
      dark.delete(room)
      const ms = clock.now() - was.since
      if (was.cause === 'new') seen.placed.push(ms)
      else seen.gaps[was.cause].push(ms)
    },
    onStart: (room, _, others) => {
      if (others.some((other) => isSound(other, room))) doubles.set(room, clock.now())
    },
  })
  const darken = (server: SimulatedServer, cause: Cause, rooms = [...server.streams.values()]) => {
    for (const { room, onAir } of rooms)
      if (onAir && livekit.rooms.has(room) && !dark.has(room)) dark.set(room, { since: clock.now(), cause })
  }
  const open = () => {
    const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
    const one = new Dispatcher(
      {
        ...{ transport: servers.transport(), rooms: livekit, rules: [], clock },
        onPlaced: () => void seen.placements++,
      },
      { log },
    )
    dispatchers.add(one)
    return one
  }
  const close = async (one: Dispatcher) => {
    dispatchers.delete(one)
    await one.close()
  }

  for (let n = 0; n < plan.servers; n++) servers.add()
  for (let n = 0; n < plan.dispatchers; n++) open()
  const end = plan.minutes * 60_000
  let made = 0
  const arrive = () => {
    const room = `room${made++}`
    seen.counts.rooms++
    dark.set(room, { since: clock.now(), cause: 'new' })
    livekit.publish(room)
    clock.after(chance.exponential(plan.stayMs), () => {
      if (clock.now() > end) return
      livekit.unpublish(room)
      dark.delete(room)
    })
  }
  const often = (everyMs: number, from: number, act: () => void) => {
    const next = () =>
      clock.after(chance.exponential(everyMs), () => {
        if (clock.now() > end) return
        if (clock.now() >= from) act()
        next()
      })
    next()
  }
  const replace = () => clock.after(chance.between(60_000, 90_000), () => void servers.add())

  for (let n = 0; n < plan.streams; n++) clock.at((n * RAMP_MS) / plan.streams, arrive)
  often(plan.stayMs / plan.streams, RAMP_MS, arrive)
  const kill = (server: SimulatedServer | undefined) => {
    if (!server) return
    seen.counts.kills++
    darken(server, 'kill')
    servers.kill(server)
    replace()
  }
  often(plan.killEveryMs, RAMP_MS, () => kill(chance.one(servers.alive)))
  often(plan.stopEveryMs, RAMP_MS, () => {
    const server = chance.one(servers.alive)
    if (!server) return
    seen.counts.stops++
    darken(server, 'stop')
    servers.stop(server, 60_000)
  })
  often(plan.stallEveryMs, RAMP_MS, () => {
    const server = chance.one(servers.alive)
    const stream = server && chance.one([...server.streams.values()].filter(({ onAir }) => onAir))
    if (!server || !stream) return
    seen.counts.stalls++
    darken(server, 'stall', [stream])
    servers.stall(server, stream.stream)
  })
  // A rack loses power; later all servers are replaced, a tenth at a time.
  clock.at(end * 0.4, () => {
    for (const server of servers.alive.slice(0, plan.servers * RACK)) kill(server)
  })
  const roll = async () => {
    const old = servers.alive
    for (let from = 0; from < old.length && clock.now() < end; from += plan.servers * ROLL) {
      // As in Kubernetes: the next ones follow when the new ones are ready.
      const part = old.slice(from, from + plan.servers * ROLL).map(async (server) => {
        if (server.state !== 'alive') return
        seen.counts.drains++
        const ms = await servers.drain(server)
        seen.drains.push(ms)
        if (ms >= 25_000) seen.drainedInVain++
        await clock.sleep(chance.between(20_000, 40_000))
        servers.add()
      })
      await Promise.all(part)
    }
  }
  clock.at(end * 0.5, () => void roll())
  // One dispatcher is killed, and another one starts without any state.
  clock.at(end * 0.25, () => {
    const [first] = dispatchers
    if (first) void close(first)
    clock.after(5000, open)
  })
  clock.every(1000, () => {
    for (const [room, since] of doubles) {
      const running = [...(servers.runs.get(room) ?? [])].filter((one) => isSound(one, room))
      if (running.length > 1) continue
      doubles.delete(room)
      seen.twice.push(clock.now() - since)
    }
    const onAir = [...livekit.rooms.values()].filter(({ lock }) => lock).length
    const places = servers.alive.length * plan.capacity
    seen.course.push([clock.now(), livekit.rooms.size, onAir, places])
  })

  for (let minute = 1; minute * 60_000 <= end + QUIET_MS; minute++) {
    await clock.run(minute * 60_000)
    if (minute % 10 === 0) say(`minute ${minute}: ${livekit.rooms.size} rooms, ${dark.size} without a processed track`)
  }
  for (const [, since] of doubles) seen.twice.push(clock.now() - since)
  const holds = (room: string) =>
    [...(servers.runs.get(room) ?? [])].some(
      (one) => one.streams.get(streamNameOf(room))?.onAir && one.state === 'alive',
    )
  seen.forgotten = [...livekit.rooms.keys()].filter((room) => !holds(room)).length
  seen.orphans = [...servers.runs.keys()].filter((room) => !livekit.rooms.has(room)).length
  seen.requests = servers.requests
  seen.livekitRequests = livekit.requests
  const closing = [...dispatchers].map(close)
  await clock.run(end + QUIET_MS + 60_000)
  await Promise.all(closing)
  return seen
}

function isSound({ state, draining, streams }: SimulatedServer, room: string): boolean {
  const stream = streams.get(streamNameOf(room))
  return state === 'alive' && !draining && stream !== undefined && !stream.stalled
}
