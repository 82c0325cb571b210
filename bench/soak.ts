import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs } from '../src/core/clock.ts'
import type { Benchmark } from './lib/benchmark.ts'
import { inRealTime } from './lib/feed.ts'
import { Flights } from './lib/flights.ts'
import type { Plot } from './lib/plot.ts'
import { type Footprint, footprint } from './lib/processes.ts'
import { flowing } from './lib/routes.ts'
import { RtcViewer } from './lib/rtc-peer.ts'
import { benchServer, metric, statusOf } from './lib/server-contender.ts'
import { HD } from './lib/sizes.ts'
import { quantile, slope } from './lib/statistics.ts'
import { watchTs } from './lib/ts-frames.ts'
import { TsPublisher } from './lib/ts-publisher.ts'
import { clipUnits } from './lib/units.ts'

const SAMPLE_MS = 10_000
/** The first two minutes fill caches, compile, and fill the trickle ring of the stream (32 MiB). */
const SETTLE_MS = 130_000
/** Each guest stays between one and six seconds, and two are there at any time. */
const GUESTS = 2

type Sample = Footprint & {
  minutes: number
  heapBytes: number
  externalBytes: number
  /** Of the frames since the last sample. */
  p50: number
  p95: number
  lost: number
}

/** Viewers who come and go all the time, by WHEP and by HTTP in turns. */
async function guests(url: string, signal: AbortSignal): Promise<number> {
  let visits = 0
  const visit = async (turn: number) => {
    const open = () =>
      turn % 2 === 0 ? RtcViewer.open(`${url}/whep/bench`, () => {}) : watchTs(`${url}/out/bench.ts`, () => {})
    await using _guest = await open()
    visits++
    await sleep(1000 + ((turn * 1733) % 5000), undefined, { signal }).catch(() => {})
  }
  const stay = async (chair: number) => {
    for (let turn = chair; !signal.aborted; turn++) await visit(turn)
  }
  await Promise.all(Array.from({ length: GUESTS }, (_, chair) => stay(chair)))
  return visits
}

export const soak: Benchmark = {
  name: 'soak',
  about: 'One 720p30 stream for a long time with viewers who come and go: memory, handles, loss and delay',
  async run(options, say) {
    const { minutes = 10 } = options
    const units = await clipUnits(HD)
    const server = await benchServer(options)
    const stop = new AbortController()
    await using publisher = new TsPublisher(`${server.url}/ingest/bench`)
    let flights = new Flights()
    const feeding = inRealTime(
      (number) => {
        const unit = units.at(number)
        publisher.write(unit)
        flights.sent(unit.pts, nowMs())
      },
      { signal: stop.signal },
    )
    const samples: Sample[] = []
    let visits: Promise<number> = Promise.resolve(0)
    try {
      await flowing(server.url, 'bench')
      await using _watch = await watchTs(`${server.url}/out/bench.ts`, (pts, at) => flights.landed(pts, at))
      visits = guests(server.url, stop.signal)
      const began = nowMs()
      while (nowMs() - began < minutes * 60_000) {
        const from = nowMs()
        flights = new Flights()
        await sleep(Math.min(SAMPLE_MS, minutes * 60_000))
        const times = flights.times()
        const sample = {
          minutes: (nowMs() - began) / 60_000,
          ...footprint(server.pid),
          heapBytes: (await metric(server.url, 'nodejs_heap_size_used_bytes')) ?? Number.NaN,
          externalBytes: (await metric(server.url, 'nodejs_external_memory_bytes')) ?? Number.NaN,
          p50: quantile(times, 0.5),
          p95: quantile(times, 0.95),
          lost: flights.lost(from, nowMs() - 1000),
        }
        samples.push(sample)
        say(
          `${sample.minutes.toFixed(1)} min: ${mib(sample.rssBytes).toFixed(0)} MiB, p50 ${sample.p50.toFixed(1)} ms, ${sample.descriptors} descriptors`,
        )
      }
      const status = await statusOf(server.url, 'bench')
      stop.abort()
      return findings(samples, await visits, status.dropped)
    } finally {
      stop.abort()
      await feeding
      await visits.catch(() => {})
      await server.stop()
    }
  },
}

const mib = (bytes: number) => bytes / 2 ** 20

function findings(samples: Sample[], visits: number, dropped: Record<string, number>) {
  const settled = samples.filter(({ minutes }) => minutes * 60_000 > SETTLE_MS)
  const used = settled.length > 1 ? settled : samples
  const figures: { name: string; unit: string; of: (sample: Sample) => number }[] = [
    { name: 'memory of the server (RSS)', unit: 'MiB', of: ({ rssBytes }) => mib(rssBytes) },
    { name: 'memory of the server and its children', unit: 'MiB', of: ({ treeRssBytes }) => mib(treeRssBytes) },
    { name: 'heap in use', unit: 'MiB', of: ({ heapBytes }) => mib(heapBytes) },
    { name: 'memory outside the heap', unit: 'MiB', of: ({ externalBytes }) => mib(externalBytes) },
    { name: 'file descriptors', unit: '', of: ({ descriptors }) => descriptors },
    { name: 'threads', unit: '', of: ({ threads }) => threads },
    { name: 'child processes', unit: '', of: ({ children }) => children },
    { name: 'delay, p50', unit: 'ms', of: ({ p50 }) => p50 },
    { name: 'delay, p95', unit: 'ms', of: ({ p95 }) => p95 },
  ]
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
      { what: 'growth of the server’s memory', limit: 1, value: growth(figures[0]!.of), unit: 'MiB/min' },
      { what: 'growth of the delay, p50', limit: 0.1, value: growth(figures[7]!.of), unit: 'ms/min' },
    ],
    tables: [
      {
        title: `${visits} visits of viewers`,
        columns: ['what', 'first', 'last', 'lowest', 'highest', 'growth a minute', ''],
        rows: figures.map(({ name, unit, of }) => {
          const values = used.map(of)
          return [name, values[0] ?? 0, values.at(-1) ?? 0, Math.min(...values), Math.max(...values), growth(of), unit]
        }),
        note: `After the first two minutes. Frames that did not come out: ${samples.reduce((sum, { lost }) => sum + lost, 0)}; the server counts ${JSON.stringify(dropped)}.`,
      },
    ],
    plots: [
      plot('memory', 'Memory over time', 'MiB', figures.slice(0, 4)),
      plot('delay', 'Delay over time', 'ms', figures.slice(7)),
    ],
    samples,
  }
}
