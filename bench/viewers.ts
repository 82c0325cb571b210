import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs } from '../src/core/clock.ts'
import type { Benchmark, Options } from './lib/benchmark.ts'
import { openEcho } from './lib/contenders/echo.ts'
import { openPeer } from './lib/contenders/peer.ts'
import { benchServer } from './lib/contenders/server-contender.ts'
import { inRealTime } from './lib/media/feed.ts'
import { Flights } from './lib/media/flights.ts'
import { flowing } from './lib/media/routes.ts'
import { RtcPublisher } from './lib/media/rtc-peer.ts'
import { HD } from './lib/media/sizes.ts'
import { clipUnits, FRAME_TICKS, type Units } from './lib/media/units.ts'
import { cpuMs } from './lib/processes.ts'
import { median, percentiles, slope, spread } from './lib/statistics.ts'
import { Crowd } from './lib/viewers/crowd.ts'

const KBPS = 3000
const CROWDS: readonly number[] = [1, 10, 30, 60]
const SETTLE_MS = 1500
const SECONDS = 8

/** Forwards the stream published at `/whip/bench` to viewers at `/whep/bench`. */
type Server = AsyncDisposable & {
  readonly url: string
  /** CPU time of the part that sends to the viewers. */
  cpuMs(): number
  /** Resolves when viewers may join. */
  flowing(): Promise<void>
}

type Round = {
  viewers: number
  /** Packets per second, to all viewers together. */
  packets: number
  kbpsEach: number
  lost: number
  /** Share of one core used by the sending process. */
  cpu: number
  /** From the publisher's last packet to each viewer's first, over all viewers. */
  p50: number
  p95: number
  /**
   * With a lossy network: retransmissions among the packets sent; the longest freeze of any viewer; and packets never
   * received.
   */
  resent: number
  freezeMs: number
  gaveUp: number
}

/** Publishes over WHIP and lets the crowd grow step by step. */
async function crowds(
  { url, cpuMs, flowing }: Server,
  units: Units,
  { seconds = SECONDS, loss = 0, viewers = CROWDS }: Options,
): Promise<Round[]> {
  await using opened = new AsyncDisposableStack()
  const publisher = opened.use(await RtcPublisher.open(`${url}/whip/bench`))
  const sent: { pts: number; at: number }[] = []
  const stop = new AbortController()
  const feeding = inRealTime(
    (number) => {
      // Intervals that do not repeat, so that each viewer's clock offset can be found.
      const pts = number * FRAME_TICKS + ((Math.imul(number + 1, 0x9e3779b1) >>> 0) % 1000)
      void publisher.write({ ...units.at(number), pts }).then((at) => sent.push({ pts, at }))
    },
    { signal: stop.signal },
  )
  try {
    await flowing()
    const crowd = opened.use(new Crowd(`${url}/whep/bench`, loss / 100))
    const rounds: Round[] = []
    for (const size of viewers) {
      await crowd.grow(size)
      await sleep(SETTLE_MS)
      sent.length = 0
      let spent = 0
      let wallMs = 0
      const seen = await crowd.watch(async () => {
        const [from, at] = [cpuMs(), nowMs()]
        await sleep(seconds * 1000)
        spent = cpuMs() - from
        wallMs = nowMs() - at
      })
      const times = seen.flatMap(({ frames }) => {
        const flights = new Flights()
        for (const { pts, at } of sent) flights.sent(pts, at)
        for (const [timestamp, at] of frames) flights.arrived(timestamp, at)
        flights.resolve()
        return flights.times()
      })
      const { p50, p95 } = percentiles(times)
      const sum = (of: 'packets' | 'bytes' | 'lost') => seen.reduce((all, one) => all + Math.max(0, one[of]), 0)
      const lossy = seen.flatMap((one) => one.lossy ?? [])
      rounds.push({
        viewers: size,
        resent: lossy.reduce((all, one) => all + one.resent, 0) / Math.max(1, sum('packets')),
        freezeMs: Math.max(0, ...lossy.map(({ freezeMs }) => freezeMs)),
        gaveUp: lossy.reduce((all, one) => all + one.gaveUp, 0),
        packets: (sum('packets') * 1000) / wallMs,
        kbpsEach: (sum('bytes') * 8) / wallMs / size,
        lost: sum('lost'),
        cpu: spent / wallMs,
        p50,
        p95,
      })
    }
    return rounds
  } finally {
    stop.abort()
    await feeding
  }
}

async function millrace(options: Options): Promise<Server> {
  const server = await benchServer(options, { VIDEO_BITRATE_KBPS: String(KBPS), UDP_PORT: '0' })
  return {
    url: server.url,
    cpuMs: () => cpuMs(server.pid),
    flowing: () => flowing(server.url, 'bench'),
    [Symbol.asyncDispose]: async () => {
      await server.stop()
    },
  }
}

/** A mere forwarder has no state but arriving packets. */
const forwarding = () => sleep(500)

async function werift(): Promise<Server> {
  const echo = await openEcho()
  return {
    url: echo.url,
    cpuMs: () => cpuMs(echo.pid),
    flowing: forwarding,
    [Symbol.asyncDispose]: () => echo[Symbol.asyncDispose](),
  }
}

async function peer(options: Options): Promise<Server> {
  return { ...(await openPeer(options, 'http://127.0.0.1:{port}')), flowing: forwarding }
}

type Result = { name: string; open: (options: Options) => Promise<Server>; rounds: Round[][] }

/** CPU time per additional packet, in microseconds: the slope over crowds of all sizes. */
const perPacket = (rounds: readonly Round[]) => slope(rounds.map(({ packets, cpu }) => [packets, cpu * 1e6] as const))

export const viewers: Benchmark = {
  name: 'viewers',
  about: `WHEP viewers of one 720p30 stream of ${KBPS / 1000} Mbit/s: what each costs, what is lost, and the delay of the fan-out`,
  async run(options, say) {
    const { repeat = 2, loss = 0, viewers: sizes = CROWDS } = options
    const units = await clipUnits({ ...HD, kbps: KBPS })
    const served: Result = { name: 'millrace noop', open: millrace, rounds: [] }
    const echoed: Result = { name: 'werift forwarder', open: werift, rounds: [] }
    const peered: Result = { name: 'peer', open: peer, rounds: [] }
    const results = [served, echoed, ...(options.peer ? [peered] : [])]
    for (let round = 0; round < repeat; round++) {
      for (const { name, open, rounds } of results) {
        await using server = await open(options)
        rounds.push(await crowds(server, units, options))
        say(`${name}: ${perPacket(rounds.at(-1)!).toFixed(1)} µs a packet`)
      }
    }
    const at = (rounds: Round[][], viewers: number, what: keyof Round) =>
      median(rounds.flat().flatMap((round) => (round.viewers === viewers ? round[what] : [])))
    const rows = ({ name, rounds }: Result) =>
      sizes.map((viewers) => [
        name,
        viewers,
        Math.round(at(rounds, viewers, 'packets')),
        Math.round(at(rounds, viewers, 'kbpsEach')),
        at(rounds, viewers, 'lost'),
        Math.round(at(rounds, viewers, 'cpu') * 100),
        at(rounds, viewers, 'p50'),
        at(rounds, viewers, 'p95'),
        ...(loss > 0
          ? [
              Math.round(at(rounds, viewers, 'resent') * 1000) / 10,
              Math.round(at(rounds, viewers, 'freezeMs')),
              at(rounds, viewers, 'gaveUp'),
            ]
          : []),
      ])
    const most = sizes.at(-1)!
    const costs = ({ rounds }: Result) => rounds.map(perPacket)
    const peerCosts = options.peer ? `, through the peer ${spread(costs(peered), 1)} µs` : ''
    return {
      budgets: [
        { what: 'processor time a packet for one viewer more', limit: 8, value: median(costs(served)), unit: 'µs' },
        { what: `packets lost by ${most} viewers`, limit: 0, value: at(served.rounds, most, 'lost'), unit: 'packets' },
      ],
      tables: [
        {
          title: `A packet for one viewer more: ${spread(costs(served), 1)} µs, through a plain werift forwarder ${spread(costs(echoed), 1)} µs${peerCosts}`,
          columns: [
            ...['server', 'viewers', 'packets/s', 'kbit/s each', 'lost', 'of a core, %', 'p50, ms', 'p95, ms'],
            ...(loss > 0 ? ['sent again, %', 'longest freeze, ms', 'never came'] : []),
          ],
          rows: results.flatMap(rows),
          note: 'The time of the process that sends, which for Millrace also carries the frames to and from its children, and for a peer that of all its processes. The delay is that from the publisher’s last packet to each viewer’s first; a forwarder decodes nothing. The viewers run on the same machine.',
        },
      ],
      plots: [
        {
          kind: 'lines',
          name: 'cpu',
          title: 'Part of a core by packets sent a second, last round',
          x: 'packets/s',
          y: '% of a core',
          series: results.map(({ name, rounds }) => ({
            name,
            points: rounds.at(-1)!.map(({ packets, cpu }) => [packets, cpu * 100]),
          })),
        },
      ],
      samples: { served: served.rounds, echoed: echoed.rounds, ...(options.peer && { peer: peered.rounds }) },
    }
  },
}
