import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs } from '../src/core/clock.ts'
import { freePort } from '../test/helpers/media/media-peer.ts'
import { httpJson } from '../test/helpers/server/http.ts'
import { waitFor } from '../test/helpers/wait.ts'
import type { Benchmark, Options } from './lib/benchmark.ts'
import { benchServer } from './lib/contenders/server-contender.ts'
import { inRealTime } from './lib/media/feed.ts'
import { Feed, FIRST_FRAMES, LISTEN_MS, STEP_TICKS, stepOf, WARM_UP_MS } from './lib/media/ffmpeg-feed.ts'
import { Flights } from './lib/media/flights.ts'
import { cost, OUTPUTS, type OutputKind, slowTarget } from './lib/media/outputs.ts'
import { flowing } from './lib/media/routes.ts'
import { RtspFeed } from './lib/media/rtsp-feed.ts'
import { HD } from './lib/media/sizes.ts'
import { watchTs } from './lib/media/ts-frames.ts'
import { clipUnits, type Units } from './lib/media/units.ts'
import { median, quantile } from './lib/statistics.ts'

type Way = {
  name: string
  /** `server` is the one being measured, or the other one if the route needs that; absent if the benchmark itself serves. */
  output?(port: number, server: string): string[]
  input?(port: number, server: string): object
  /** The frames go through another Millrace first. */
  throughAnother?: true
}

const WAYS: Way[] = [
  { name: 'published by ffmpeg, MPEG-TS', output: (_, server) => ['-f', 'mpegts', `${server}/ingest/bench`] },
  {
    name: 'pulled, MPEG-TS over HTTP',
    output: (port) => ['-f', 'mpegts', '-listen', '1', `http://127.0.0.1:${port}/x.ts`],
    input: (port) => ({ type: 'mpegts', url: `http://127.0.0.1:${port}/x.ts` }),
  },
  {
    name: 'pulled, RTMP',
    output: (port) => ['-tcp_nodelay', '1', '-f', 'flv', '-listen', '1', `rtmp://127.0.0.1:${port}/live/x`],
    input: (port) => ({ url: `rtmp://127.0.0.1:${port}/live/x` }),
  },
  {
    name: 'pulled, RTSP',
    input: (port) => ({ url: `rtsp://127.0.0.1:${port}/x` }),
  },
  {
    name: 'pulled, SRT with 20 ms of its own latency',
    output: (port) => ['-f', 'mpegts', `srt://127.0.0.1:${port}?mode=listener&latency=20000&pkt_size=1316`],
    input: (port) => ({ url: `srt://127.0.0.1:${port}?latency=20000` }),
  },
  {
    name: 'pulled, WHEP from another Millrace, which decodes and encodes too',
    output: (_, other) => ['-f', 'mpegts', `${other}/ingest/bench`],
    input: (_, other) => ({ type: 'whep', url: `${other}/whep/bench` }),
    throughAnother: true,
  },
]

/** `url` of an RTSP server that accepts publishers and serves what they send. */
const overRtsp = (url: string): Way => ({
  name: 'pulled, RTSP from another server',
  output: () => ['-f', 'rtsp', '-rtsp_transport', 'tcp', `${url}/bench`],
  input: () => ({ url: `${url}/bench` }),
})

async function delay(
  { output, input, throughAnother }: Way,
  units: Units,
  seconds: number,
  options: Options,
): Promise<number[]> {
  const port = await freePort()
  const other = throughAnother && (await benchServer(options))
  const allowed = [
    ...(other ? [other.url] : []),
    `http://127.0.0.1:${port}`,
    `rtmp://127.0.0.1:${port}`,
    `rtsp://127.0.0.1:${port}`,
    `srt://127.0.0.1:${port}`,
    ...(options.peerUrl ? [options.peerUrl] : []),
  ]
  const server = await benchServer(options, { ALLOWED_URLS: allowed.join() })
  const flights = new Flights()
  const stop = new AbortController()
  let since = 0
  {
    const first = other?.url ?? server.url
    await using feed = output ? await Feed.open(output(port, first)) : await RtspFeed.open(port)
    for (let number = 0; number < FIRST_FRAMES; number++) feed.write(units, number)
    await sleep(LISTEN_MS)
    // An RTSP server has no media before it gets frames; the others give none before somebody reads.
    const pulling = input && retryPull(server.url, input(port, first))
    const feeding = inRealTime(
      (number) => {
        feed.write(units, number)
        flights.sent(stepOf(number), nowMs())
      },
      { signal: stop.signal, first: FIRST_FRAMES },
    )
    try {
      await pulling
      await flowing(server.url, 'bench')
      let begin: number | undefined
      await using _watch = await watchTs(`${server.url}/out/bench.ts`, (pts, at) => {
        begin ??= pts
        flights.arrived(Math.round((pts - begin) / STEP_TICKS), at)
      })
      await sleep(WARM_UP_MS)
      since = nowMs()
      await sleep(seconds * 1000)
    } finally {
      stop.abort()
      await feeding
    }
  }
  await server.stop()
  await other?.stop()
  flights.resolve()
  return flights.times(since)
}

async function retryPull(url: string, input: object): Promise<void> {
  const pull = () => httpJson('POST', `${url}/streams`, { body: { name: 'bench', input } })
  await waitFor('the pull', async () => (await pull()).status === 201)
}

export const remote: Benchmark = {
  name: 'remote',
  about: 'What a pull adds to the delay of a 720p30 stream over a publisher, and what an output costs the server',
  async run(options, say) {
    const { seconds = 15, repeat = 3 } = options
    const units = await clipUnits(HD)
    const ways = [...WAYS, ...(options.peerUrl ? [overRtsp(options.peerUrl)] : [])]
    const delays = new Map<string, number[]>(ways.map(({ name }) => [name, []]))
    const costs = new Map<OutputKind, number[]>()
    const slow: Awaited<ReturnType<typeof slowTarget>>[] = []
    for (let round = 0; round < repeat; round++) {
      for (const way of ways) {
        const p50 = quantile(await delay(way, units, seconds, options), 0.5)
        delays.get(way.name)?.push(p50)
        say(`${way.name}: p50 ${p50.toFixed(1)} ms`)
      }
      for (const kind of ['rtmp', 'srt', 'rtsp', 'whip', 'recording'] as const) {
        const ms = await cost(kind, units, seconds, options)
        costs.set(kind, [...(costs.get(kind) ?? []), ms])
        say(`${kind}: ${ms.toFixed(3)} ms of CPU a frame`)
      }
      slow.push(await slowTarget(units, seconds, options))
      say(`beside a target that reads nothing: ${JSON.stringify(slow.at(-1))}`)
    }
    const direct = median(delays.get(WAYS[0]!.name)!)
    const added = ways.slice(1).map(({ name }) => ({ name, ms: median(delays.get(name)!) - direct }))
    const outputs = [...costs].map(([kind, all]) => ({ kind, ms: median(all) }))
    return {
      budgets: [
        ...added.map(({ name, ms }) => ({
          what: `${name}: added to the p50 of a publisher`,
          limit: 40,
          value: ms,
          unit: 'ms',
        })),
        ...outputs
          .filter(({ kind }) => kind !== 'whip')
          .map(({ kind, ms }) => ({
            what: `${kind === 'recording' ? 'a recording' : `an output by ${kind}`}, in the server`,
            limit: 0.15,
            value: ms,
            unit: 'ms of CPU a frame',
          })),
      ],
      tables: [
        {
          title: 'From the writing of a frame to its arrival at /out, 720p30, noop',
          columns: ['way', 'p50, ms', 'added, ms'],
          rows: ways.map(({ name }) => [
            name,
            median(delays.get(name)!).toFixed(1),
            (median(delays.get(name)!) - direct).toFixed(1),
          ]),
          note: 'The same ffmpeg sends in each row, and the delay of its own is in all of them but RTSP, whose server has none.',
        },
        {
          title: `One of ${OUTPUTS} outputs of a stream, or its recording, in the server's process`,
          columns: ['output', 'ms of CPU a frame'],
          rows: outputs.map(({ kind, ms }) => [kind, ms.toFixed(3)]),
          note: 'RTMP, SRT, RTSP and the recording have an ffmpeg besides, which is not counted; WHIP has none, and is what a viewer costs.',
        },
        {
          title: 'A stream before and after one of its two RTMP targets stops reading, at /out',
          columns: [
            '',
            'p50, ms',
            'p99, ms',
            'longest gap between frames, ms',
            'dropped by that target',
            'by the other',
          ],
          rows: slow.flatMap(({ before, after, dropped }) => [
            ['before', before.p50.toFixed(1), before.p99.toFixed(1), before.gap.toFixed(0), 0, 0],
            ['after', after.p50.toFixed(1), after.p99.toFixed(1), after.gap.toFixed(0), dropped.slow, dropped.other],
          ]),
        },
      ],
      plots: [],
      samples: { delays: Object.fromEntries(delays), costs: Object.fromEntries(costs), slow },
    }
  },
}
