import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs } from '../src/core/clock.ts'
import type { StreamStatus } from '../src/stream/status.ts'
import { launchChromium } from '../test/helpers/browser/chromium.ts'
import { closeGlass, openServersPage, type Shown, takeShown } from '../test/helpers/browser/glass.ts'
import { waitFor } from '../test/helpers/wait.ts'
import type { Benchmark, Budget, Options } from './lib/benchmark.ts'
import { openEcho } from './lib/contenders/echo.ts'
import { benchServer, statusOf } from './lib/contenders/server-contender.ts'
import { inRealTime } from './lib/media/feed.ts'
import { Flights, growthPerMinute } from './lib/media/flights.ts'
import { flowing, ingestToOut, type OpenRoute, trickleToTrickle, whipToWhep } from './lib/media/routes.ts'
import { HD } from './lib/media/sizes.ts'
import { clipUnits, type Units } from './lib/media/units.ts'
import type { Series } from './lib/plot.ts'
import { median, percentiles, quantile } from './lib/statistics.ts'
import { type OpenGlass, openPeers } from './lib/viewers/glass.ts'

type Stages = StreamStatus['latencyMs']
type Taken = { times: number[]; lost: number; slopePerMinute: number; stages: Stages | undefined }
type Result = { name: string; rounds: Taken[] }

const ROUTES: { name: string; open: OpenRoute }[] = [
  { name: 'ingest to /out', open: ingestToOut },
  { name: 'trickle to trickle', open: trickleToTrickle },
  { name: 'WHIP to WHEP', open: whipToWhep },
]
const ECHO = 'WHIP to WHEP, werift echo'
const WARM_UP_MS = 3000

/** Sends the clip through a route in real time and tracks each frame. */
async function fly(open: OpenRoute, url: string, units: Units, seconds: number, plain: boolean): Promise<Taken> {
  const flights = new Flights()
  const stop = new AbortController()
  let since = 0
  let until = 0
  let stages: Stages | undefined
  {
    await using route = await open(url, 'bench', flights)
    const feeding = inRealTime((number) => route.send(units.at(number), number), { signal: stop.signal })
    try {
      if (plain) await sleep(500)
      else await flowing(url, 'bench')
      await route.watch()
      await sleep(WARM_UP_MS)
      since = nowMs()
      await sleep(seconds * 1000)
      until = nowMs()
      if (!plain) stages = (await statusOf(url, 'bench')).latencyMs
      await sleep(200)
    } finally {
      stop.abort()
      await feeding
    }
  }
  return {
    times: flights.times(since),
    lost: flights.lost(since, until),
    slopePerMinute: flights.slopePerMinute(since),
    stages,
  }
}

async function throughServer(open: OpenRoute, units: Units, seconds: number, options: Options): Promise<Taken> {
  const server = await benchServer(options)
  try {
    return await fly(open, server.url, units, seconds, false)
  } finally {
    await server.stop()
  }
}

async function throughEcho(units: Units, seconds: number): Promise<Taken> {
  await using echo = await openEcho()
  return await fly(whipToWhep, echo.url, units, seconds, true)
}

/** From the drawing of a frame on a canvas to the moment a `<video>` shows it. */
async function glassToGlass(open: OpenGlass, url: string, seconds: number): Promise<Shown[]> {
  const browser = await launchChromium()
  try {
    const page = await open(browser, url)
    await waitFor('frames in the browser', async () => (await takeShown(page)).length > 0, {
      limitMs: 30_000,
      everyMs: 200,
    })
    await sleep(WARM_UP_MS)
    await takeShown(page)
    await sleep(seconds * 1000)
    const shown = await takeShown(page)
    await closeGlass(page)
    return shown
  } finally {
    await browser.close()
  }
}

async function glassRounds(rounds: number, seconds: number, options: Options, say: (line: string) => void) {
  const [served, paged, echoed]: [Shown[][], Shown[][], Shown[][]] = [[], [], []]
  for (let round = 0; round < rounds; round++) {
    {
      await using echo = await openEcho()
      echoed.push(await glassToGlass(openPeers, echo.url, seconds))
    }
    const server = await benchServer(options)
    try {
      served.push(await glassToGlass(openPeers, server.url, seconds))
      paged.push(await glassToGlass(openServersPage, server.url, seconds))
    } finally {
      await server.stop()
    }
    say(
      `glass to glass: ${[served, paged, echoed].map((one) => quantile(delays(one.at(-1)), 0.5).toFixed(1)).join(' / ')} ms (peers / the page / echo)`,
    )
  }
  return { served, paged, echoed }
}

export const latency: Benchmark = {
  name: 'latency',
  about:
    'How long a 720p30 frame takes through noop: by the stages of the server, from outside, and from canvas to screen',
  async run(options, say) {
    const { seconds = 40, repeat = 3 } = options
    const units = await clipUnits(HD)
    const results: Result[] = [...ROUTES.map(({ name }) => name), ECHO].map((name) => ({ name, rounds: [] }))
    for (let round = 0; round < repeat; round++) {
      for (const [i, { name, open }] of ROUTES.entries()) {
        const taken = await throughServer(open, units, seconds, options)
        results[i]!.rounds.push(taken)
        say(`${name}: p50 ${quantile(taken.times, 0.5).toFixed(1)} ms, p95 ${quantile(taken.times, 0.95).toFixed(1)}`)
      }
      results.at(-1)!.rounds.push(await throughEcho(units, seconds))
    }
    const glass = await glassRounds(repeat, seconds, options, say)
    return {
      budgets: budgets(results, glass),
      tables: [outside(results), stages(results), screen(glass)],
      plots: [
        {
          kind: 'lines',
          name: 'outside',
          title: 'From the last byte in to the first byte out, last round',
          x: 'part of the frames, %',
          y: 'ms',
          series: results.map(({ name, rounds }) => distribution(name, rounds.at(-1)?.times ?? [])),
        },
        {
          kind: 'lines',
          name: 'glass',
          title: 'From canvas to screen, last round',
          x: 'part of the frames, %',
          y: 'ms',
          series: [
            distribution('millrace noop', delays(glass.served.at(-1))),
            distribution("millrace's page", delays(glass.paged.at(-1))),
            distribution('werift echo', delays(glass.echoed.at(-1))),
          ],
        },
      ],
      samples: {
        results: results.map(brief),
        glass: {
          served: glass.served.map(briefGlass),
          paged: glass.paged.map(briefGlass),
          echoed: glass.echoed.map(briefGlass),
        },
      },
    }
  },
}

type Glass = Awaited<ReturnType<typeof glassRounds>>

const delays = (shown: readonly Shown[] | undefined) => shown?.map(({ ms }) => ms) ?? []

const over = (rounds: readonly number[][], q: number) => median(rounds.map((times) => quantile(times, q)))
const timesOf = (result: Result | undefined) => result?.rounds.map(({ times }) => times) ?? []

function budgets(results: Result[], glass: Glass): Budget[] {
  const named = (name: string) => results.find((result) => result.name === name)
  const whip = named('WHIP to WHEP')
  const ms = (what: string, limit: number, value: number): Budget => ({ what, limit, value, unit: 'ms' })
  const own =
    whip?.rounds.map(
      ({ times, stages }) => quantile(times, 0.5) - (stages?.decode.p50 ?? 0) - (stages?.encode.p50 ?? 0),
    ) ?? []
  const servedP50 = over(glass.served.map(delays), 0.5)
  const slopes = results
    .filter(({ name }) => name !== ECHO)
    .flatMap(({ rounds }) => rounds.map(({ slopePerMinute }) => slopePerMinute))
  return [
    ms('WHIP to WHEP, last packet in to first packet out, p50', 12, over(timesOf(whip), 0.5)),
    ms('the same, p95', 20, over(timesOf(whip), 0.95)),
    ms('of which not ffmpeg, p50', 3, median(own)),
    ms('MPEG-TS ingest to /out, p50', 12, over(timesOf(named('ingest to /out')), 0.5)),
    ms('the same, p95', 20, over(timesOf(named('ingest to /out')), 0.95)),
    ms('glass to glass above a werift echo, p50', 15, servedP50 - over(glass.echoed.map(delays), 0.5)),
    ms('glass to glass, p50', 45, servedP50),
    ms('the same through the page of the server, p50', 50, over(glass.paged.map(delays), 0.5)),
    {
      what: 'growth of the delay through the server, median of all runs',
      limit: 1,
      value: median(slopes),
      unit: 'ms/min',
    },
    {
      what: 'growth of the delay from glass to glass',
      limit: 1,
      value: median([...glass.served, ...glass.paged].map(growthPerMinute)),
      unit: 'ms/min',
    },
  ]
}

function outside(results: Result[]) {
  return {
    title: 'From the last byte of a frame in to the first byte of its processed form out, in ms',
    columns: ['way', 'p50', 'p95', 'p99', 'frames', 'lost', 'growth, ms/min'],
    rows: results.map((result) => [
      result.name,
      ...[0.5, 0.95, 0.99].map((q) => over(timesOf(result), q)),
      result.rounds.reduce((sum, { times }) => sum + times.length, 0),
      result.rounds.reduce((sum, { lost }) => sum + lost, 0),
      median(result.rounds.map(({ slopePerMinute }) => slopePerMinute)),
    ]),
    note: 'Measured from another process, frame by frame; medians of the rounds.',
  }
}

function stages(results: Result[]) {
  const parts = ['decode', 'pipeline', 'encode', 'total'] as const
  return {
    title: 'The same by the stages that the server reports, p50 / p95 in ms',
    columns: ['way', ...parts],
    rows: results
      .filter(({ name }) => name !== ECHO)
      .map(({ name, rounds }) => [
        name,
        ...parts.map((part) => {
          const at = (q: 'p50' | 'p95') => median(rounds.flatMap(({ stages }) => stages?.[part][q] ?? [])).toFixed(1)
          return `${at('p50')} / ${at('p95')}`
        }),
      ]),
  }
}

function screen({ served, paged, echoed }: Glass) {
  const row = (name: string, rounds: Shown[][]) => [
    name,
    ...[0.5, 0.95, 0.99].map((q) => over(rounds.map(delays), q)),
    rounds.flat().length,
    rounds.reduce((sum, shown) => sum + outOfOrder(shown), 0),
    median(rounds.map(growthPerMinute)),
  ]
  return {
    title: 'Glass to glass: from the drawing on a canvas to the `<video>` that shows it, in one Chromium, in ms',
    columns: ['through', 'p50', 'p95', 'p99', 'frames', 'out of order', 'growth, ms/min'],
    rows: [
      row('millrace noop', served),
      row('the same, by its own page', paged),
      row('werift echo, nothing decoded', echoed),
    ],
    note: 'Both encode and decode in the same browser on the same machine, whose share of the delay is in both rows.',
  }
}

/** Number of frames shown after one that was drawn later. */
function outOfOrder(shown: readonly Shown[]): number {
  return shown.filter(({ number }, i) => i > 0 && number < shown[i - 1]!.number).length
}

function briefGlass(shown: readonly Shown[]) {
  return { ...percentiles(delays(shown)), outOfOrder: outOfOrder(shown), growthPerMinute: growthPerMinute(shown) }
}

function distribution(name: string, times: readonly number[]): Series {
  const parts = Array.from({ length: 100 }, (_, i) => i)
  return { name, points: times.length === 0 ? [] : parts.map((part) => [part, quantile(times, part / 100)]) }
}

function brief({ name, rounds }: Result) {
  return { name, rounds: rounds.map(({ times, ...rest }) => ({ ...percentiles(times), ...rest })) }
}
