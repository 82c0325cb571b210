import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs } from '../src/core/clock.ts'
import type { Benchmark } from './lib/benchmark.ts'
import { benchServer, metric, statusOf } from './lib/contenders/server-contender.ts'
import { inRealTime } from './lib/media/feed.ts'
import { Flights } from './lib/media/flights.ts'
import { flowing } from './lib/media/routes.ts'
import { RtcViewer } from './lib/media/rtc-peer.ts'
import { sizesNamed } from './lib/media/sizes.ts'
import { watchTs } from './lib/media/ts-frames.ts'
import { TsPublisher } from './lib/media/ts-publisher.ts'
import { clipUnits, FPS, type Units } from './lib/media/units.ts'
import type { Plot } from './lib/plot.ts'
import { type Footprint, footprint, type ResidentMemory, residentMemory } from './lib/processes.ts'
import { quantile, slope } from './lib/statistics.ts'

const SAMPLE_MS = 10_000
/** The first two minutes fill caches, compile, and fill the stream's trickle ring (32 MiB). */
const SETTLE_MS = 130_000
/** Each guest stays between one and six seconds, and each stream has two at any time. */
const GUESTS = 2
/**
 * Permitted growth of the server's memory in MiB per minute; an hour is long enough to tell small growth from noise.
 */
const GROWTH = { short: 1, long: 0.05, longMinutes: 60 }

type Sample = Footprint & {
  minutes: number
  resident: ResidentMemory
  heapBytes: number
  externalBytes: number
  /** Over the frames since the last sample. */
  p50: number
  p95: number
  lost: number
}

type Visits = { came: number; failed: number }

/**
 * Viewers of one stream who constantly join and leave, alternating WHEP and HTTP. Those who fail to join are counted.
 */
async function guests(url: string, stream: string, signal: AbortSignal): Promise<Visits> {
  const visits = { came: 0, failed: 0 }
  const visit = async (turn: number) => {
    const open = () =>
      turn % 2 === 0 ? RtcViewer.open(`${url}/whep/${stream}`, () => {}) : watchTs(`${url}/out/${stream}.ts`, () => {})
    await using _guest = await open()
    visits.came++
    await sleep(1000 + ((turn * 1733) % 5000), undefined, { signal }).catch(() => {})
  }
  const stay = async (chair: number) => {
    for (let turn = chair; !signal.aborted; turn++) {
      await visit(turn).catch(() => {
        visits.failed++
      })
    }
  }
  await Promise.all(Array.from({ length: GUESTS }, (_, chair) => stay(chair)))
  return visits
}

/** One stream that is published and watched during the run. */
class Lane implements AsyncDisposable {
  /** Over the frames since the last sample. */
  flights = new Flights()
  readonly name: string
  readonly #publisher: TsPublisher
  readonly #stop = new AbortController()
  readonly #feeding: Promise<void>

  constructor(url: string, name: string, units: Units, afterMs: number) {
    this.name = name
    this.#publisher = new TsPublisher(`${url}/ingest/${name}`)
    this.#feeding = this.#feed(units, afterMs)
  }

  async #feed(units: Units, afterMs: number): Promise<void> {
    await sleep(afterMs)
    const send = (number: number) => {
      const unit = units.at(number)
      this.#publisher.write(unit)
      this.flights.sent(unit.pts, nowMs())
    }
    await inRealTime(send, { signal: this.#stop.signal })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#feeding
    await this.#publisher[Symbol.asyncDispose]()
  }
}

export const soak: Benchmark = {
  name: 'soak',
  about: 'Streams for a long time with viewers who come and go: memory, handles, loss and delay',
  async run(options, say) {
    const { minutes = 10, streams = 1, sizes = ['720p'] } = options
    const units = await clipUnits(sizesNamed(sizes)[0]!)
    const server = await benchServer(options)
    const stop = new AbortController()
    const samples: Sample[] = []
    let visits: Promise<Visits[]> = Promise.resolve([])
    try {
      await using opened = new AsyncDisposableStack()
      // Slightly staggered, like independent publishers.
      const lanes = Array.from({ length: streams }, (_, i) =>
        opened.use(new Lane(server.url, `bench${i}`, units, (i * 1000) / FPS / streams)),
      )
      for (const lane of lanes) {
        await flowing(server.url, lane.name)
        opened.use(await watchTs(`${server.url}/out/${lane.name}.ts`, (pts, at) => lane.flights.landed(pts, at)))
      }
      visits = Promise.all(lanes.map(({ name }) => guests(server.url, name, stop.signal)))
      const began = nowMs()
      while (nowMs() - began < minutes * 60_000) {
        const from = nowMs()
        for (const lane of lanes) lane.flights = new Flights()
        await sleep(Math.min(SAMPLE_MS, minutes * 60_000))
        const times = lanes.flatMap(({ flights }) => flights.times())
        const sample = {
          minutes: (nowMs() - began) / 60_000,
          ...footprint(server.pid),
          resident: residentMemory(server.pid),
          heapBytes: (await metric(server.url, 'nodejs_heap_size_used_bytes')) ?? Number.NaN,
          externalBytes: (await metric(server.url, 'nodejs_external_memory_bytes')) ?? Number.NaN,
          p50: quantile(times, 0.5),
          p95: quantile(times, 0.95),
          lost: lanes.reduce((sum, { flights }) => sum + flights.lost(from, nowMs() - 1000), 0),
        }
        samples.push(sample)
        say(
          `${sample.minutes.toFixed(1)} min: ${mib(sample.rssBytes).toFixed(0)} MiB (${mib(sample.resident.anonBytes).toFixed(0)} its own, ${mib(sample.resident.sharedBytes).toFixed(0)} shared frames), p50 ${sample.p50.toFixed(1)} ms, ${sample.descriptors} descriptors`,
        )
      }
      const dropped = await Promise.all(lanes.map(async ({ name }) => (await statusOf(server.url, name)).dropped))
      stop.abort()
      return findings(samples, await visits, dropped)
    } finally {
      stop.abort()
      await visits
      await server.stop()
    }
  },
}

const mib = (bytes: number) => bytes / 2 ** 20

function findings(samples: Sample[], visits: Visits[], dropped: Record<string, number>[]) {
  const settled = samples.filter(({ minutes }) => minutes * 60_000 > SETTLE_MS)
  const used = settled.length > 1 ? settled : samples
  const figures: { name: string; unit: string; of: (sample: Sample) => number }[] = [
    { name: 'memory of the server (RSS)', unit: 'MiB', of: ({ rssBytes }) => mib(rssBytes) },
    { name: 'of that its own (RssAnon)', unit: 'MiB', of: ({ resident }) => mib(resident.anonBytes) },
    {
      name: 'of that frames shared with pipelines (RssShmem)',
      unit: 'MiB',
      of: ({ resident }) => mib(resident.sharedBytes),
    },
    { name: 'memory of the server and its children', unit: 'MiB', of: ({ treeRssBytes }) => mib(treeRssBytes) },
    { name: 'heap in use', unit: 'MiB', of: ({ heapBytes }) => mib(heapBytes) },
    { name: 'memory outside the heap', unit: 'MiB', of: ({ externalBytes }) => mib(externalBytes) },
    { name: 'file descriptors', unit: '', of: ({ descriptors }) => descriptors },
    { name: 'threads', unit: '', of: ({ threads }) => threads },
    { name: 'child processes', unit: '', of: ({ children }) => children },
    { name: 'delay, p50', unit: 'ms', of: ({ p50 }) => p50 },
    { name: 'delay, p95', unit: 'ms', of: ({ p95 }) => p95 },
  ]
  const sum = (of: (one: Visits) => number) => visits.reduce((all, one) => all + of(one), 0)
  const span = samples.at(-1)?.minutes ?? 0
  const growth = (of: (sample: Sample) => number) => slope(used.map((sample) => [sample.minutes, of(sample)] as const))
  const plot = (name: string, title: string, y: string, chosen: typeof figures): Plot => ({
    kind: 'lines',
    name,
    title,
    x: 'minutes',
    y,
    series: chosen.map(({ name, of }) => ({ name, points: samples.map((sample) => [sample.minutes, of(sample)]) })),
  })
  return {
    budgets: [
      {
        what: 'growth of the server’s memory',
        limit: span >= GROWTH.longMinutes ? GROWTH.long : GROWTH.short,
        value: growth(figures[0]!.of),
        unit: 'MiB/min',
      },
      { what: 'growth of the delay, p50', limit: 0.1, value: growth(({ p50 }) => p50), unit: 'ms/min' },
    ],
    tables: [
      {
        title: `${sum(({ came }) => came)} visits of viewers`,
        columns: ['what', 'first', 'last', 'lowest', 'highest', 'growth a minute', ''],
        rows: figures.map(({ name, unit, of }) => {
          const values = used.map(of)
          return [name, values[0] ?? 0, values.at(-1) ?? 0, Math.min(...values), Math.max(...values), growth(of), unit]
        }),
        note: `After the first two minutes. Viewers who did not get in: ${sum(({ failed }) => failed)}. Frames that did not come out: ${samples.reduce((sum, { lost }) => sum + lost, 0)}; the server counts ${JSON.stringify(dropped)}.`,
      },
    ],
    plots: [
      plot('memory', 'Memory over time', 'MiB', figures.slice(0, 6)),
      plot('delay', 'Delay over time', 'ms', figures.slice(9)),
    ],
    samples,
  }
}
