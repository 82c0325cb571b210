import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs } from '../src/core/clock.ts'
import type { Benchmark, Options } from './lib/benchmark.ts'
import { benchFfmpeg, ffmpegPair } from './lib/contenders/ffmpeg-contender.ts'
import { benchServer, eventLoopP99, ServedStream } from './lib/contenders/server-contender.ts'
import { inRealTime } from './lib/media/feed.ts'
import { Flights } from './lib/media/flights.ts'
import { HD } from './lib/media/sizes.ts'
import { clipUnits, FPS, FRAME_TICKS, type Units } from './lib/media/units.ts'
import { machineTime, treeCpuMs } from './lib/processes.ts'
import { median, percentiles, quantile } from './lib/statistics.ts'

type Round = {
  streams: number
  lost: number
  p50: number
  p95: number
  /** Share of all cores. */
  busy: number
  /** Of the server or the ffmpegs with all their children, per output frame. */
  cpuMsPerFrame: number
  /** Event loop delay of the server in ms; undefined for bare ffmpegs. */
  eventLoopP99?: number
}
type Lane = { write(number: number): void; flights: Flights }

/** By then all processes have started and compiled, and the backlog is processed. */
const WARM_UP_MS = 12_000
const LIMIT_MS = 60
/** More than any current machine carries. */
const MOST = 256

/** Publishes on all lanes in real time, slightly staggered like independent publishers. */
async function fly(lanes: Lane[], pids: number[], ready: () => Promise<void>, seconds: number): Promise<Round> {
  const stop = new AbortController()
  const feeding = lanes.map(async ({ write, flights }, i) => {
    await sleep(((i * 1000) / FPS / lanes.length) % (1000 / FPS))
    await inRealTime(
      (number) => {
        write(number)
        flights.sent(number * FRAME_TICKS, nowMs())
      },
      { signal: stop.signal },
    )
  })
  try {
    await ready()
    await sleep(WARM_UP_MS)
    const since = nowMs()
    const cpuMs = () => pids.reduce((sum, pid) => sum + treeCpuMs(pid), 0)
    const [before, cpuBefore] = [machineTime(), cpuMs()]
    await sleep(seconds * 1000)
    const [after, cpuAfter] = [machineTime(), cpuMs()]
    const until = nowMs()
    await sleep(500)
    const times = lanes.flatMap(({ flights }) => flights.times(since, until))
    const lost = lanes.reduce((sum, { flights }) => sum + flights.lost(since, until), 0)
    return {
      streams: lanes.length,
      lost,
      p50: quantile(times, 0.5),
      p95: quantile(times, 0.95),
      busy: (after.busyMs - before.busyMs) / (after.totalMs - before.totalMs),
      cpuMsPerFrame: (cpuAfter - cpuBefore) / Math.max(1, times.length),
    }
  } finally {
    stop.abort()
    await Promise.all(feeding)
  }
}

async function served(count: number, units: Units, seconds: number, options: Options): Promise<Round> {
  const server = await benchServer(options)
  const streams: ServedStream[] = []
  try {
    const lanes = Array.from({ length: count }, (_, i): Lane => {
      const stream = new ServedStream(server.url, `bench${i}`, { pipeline: 'noop' })
      streams.push(stream)
      return { write: (number) => stream.write(units.at(number), number), flights: new Flights() }
    })
    const watch = async () => {
      for (const [i, stream] of streams.entries()) {
        const { flights } = lanes[i]!
        await stream.watch((number, at) => flights.landed(number * FRAME_TICKS, at))
      }
    }
    const round = await fly(lanes, [server.pid], watch, seconds)
    const late = await eventLoopP99(server.url)
    return { ...round, ...(late !== undefined && { eventLoopP99: late }) }
  } finally {
    await Promise.all(streams.map((stream) => stream[Symbol.asyncDispose]()))
    await server.stop()
  }
}

async function bare(count: number, units: Units, seconds: number): Promise<Round> {
  const open = ffmpegPair(await benchFfmpeg())
  await using opened = new AsyncDisposableStack()
  const lanes: Lane[] = []
  const pids: number[] = []
  for (let i = 0; i < count; i++) {
    const flights = new Flights()
    const pair = opened.use(await open(units, (number, at) => flights.landed(number * FRAME_TICKS, at)))
    pids.push(pair.pid)
    lanes.push({ write: (number) => pair.write(units.at(number), number), flights })
  }
  return await fly(lanes, pids, () => sleep(500), seconds)
}

const carries = ({ lost, p95 }: Round) => lost === 0 && p95 < LIMIT_MS

/** Finds the maximum over several rounds: doubled until it fails, then bisected. */
async function most(measure: (count: number) => Promise<Round>, first: number): Promise<Round[]> {
  const rounds: Round[] = []
  const tryOut = async (count: number) => {
    const round = await measure(count)
    rounds.push(round)
    return carries(round)
  }
  let [good, bad] = [0, MOST]
  for (let count = first; count < bad; ) {
    if (await tryOut(count)) good = count
    else bad = count
    count = bad === MOST ? Math.min(MOST - 1, good * 2) : good + Math.floor((bad - good) / 2)
    if (count <= good) break
  }
  return rounds
}

const best = (rounds: readonly Round[]) => Math.max(0, ...rounds.filter(carries).map(({ streams }) => streams))

export const streams: Benchmark = {
  name: 'streams',
  about: 'How many 720p30 noop streams run at once with no frame lost and p95 under 60 ms, against bare ffmpeg pairs',
  async run(options, say) {
    const { seconds = 8, repeat = 1 } = options
    const units = await clipUnits(HD)
    const results = { served: [] as Round[][], bare: [] as Round[][] }
    const told = (who: string, round: Round) => {
      say(
        `${round.streams} ${who}: lost ${round.lost}, p95 ${round.p95.toFixed(1)} ms, ${Math.round(round.busy * 100)} % busy`,
      )
      return round
    }
    for (let round = 0; round < repeat; round++) {
      results.bare.push(await most(async (count) => told('ffmpeg pairs', await bare(count, units, seconds)), 4))
      results.served.push(await most(async (count) => told('streams', await served(count, units, seconds, options)), 4))
    }
    const [bareBest, servedBest] = [median(results.bare.map(best)), median(results.served.map(best))]
    const rows = (who: string, rounds: Round[][]) =>
      rounds
        .flat()
        .toSorted((a, b) => a.streams - b.streams)
        .map(({ streams, lost, p50, p95, busy, cpuMsPerFrame, eventLoopP99 }) => [
          who,
          streams,
          lost,
          p50,
          p95,
          Math.round(busy * 100),
          cpuMsPerFrame,
          eventLoopP99 ?? '-',
        ])
    const four = results.served.flat().filter(({ streams }) => streams === 4)
    const loops = four.flatMap(({ eventLoopP99 }) => eventLoopP99 ?? [])
    return {
      budgets: [
        {
          what: 'streams at once, part of the ffmpeg pairs',
          limit: 0.8,
          value: servedBest / Math.max(1, bareBest),
          unit: '×',
          atLeast: true,
        },
        ...(loops.length > 0
          ? [{ what: 'lateness of the event loop at 4 streams, p99', limit: 10, value: median(loops), unit: 'ms' }]
          : []),
      ],
      tables: [
        {
          title: `At once: ${servedBest} streams, ${bareBest} ffmpeg pairs`,
          columns: [
            'what',
            'at once',
            'lost',
            'p50, ms',
            'p95, ms',
            'cores busy, %',
            'CPU a frame, ms',
            'event loop p99, ms',
          ],
          rows: [...rows('ffmpeg \\| ffmpeg', results.bare), ...rows('millrace noop', results.served)],
          note: 'The publishers and the readers of all of them run on the same machine: they are in how busy it is, and not in the CPU a frame.',
        },
      ],
      plots: [],
      samples: { ...results, percentiles: percentiles(results.served.flat().map(({ p95 }) => p95)) },
    }
  },
}
