import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Child } from '../src/core/child.ts'
import { nowMs } from '../src/core/clock.ts'
import { deadline } from '../src/core/resource.ts'
import { decodeGray } from '../test/helpers/media/probe-ts.ts'
import { record } from '../test/helpers/media/record.ts'
import { httpJson } from '../test/helpers/server/http.ts'
import { waitFor } from '../test/helpers/wait.ts'
import type { Benchmark, Options } from './lib/benchmark.ts'
import { benchServer, statusOf } from './lib/contenders/server-contender.ts'
import { inRealTime } from './lib/media/feed.ts'
import { flowing } from './lib/media/routes.ts'
import { RtcViewer } from './lib/media/rtc-peer.ts'
import { HD } from './lib/media/sizes.ts'
import { watchTs } from './lib/media/ts-frames.ts'
import { TsPublisher } from './lib/media/ts-publisher.ts'
import { clipUnits, FRAME_TICKS, type Units } from './lib/media/units.ts'
import { median, spread } from './lib/statistics.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SLOW = fileURLToPath(new URL('../test/fixtures/pipelines', import.meta.url))

/** From the command to the line that says where it listens. */
async function npmStart(): Promise<number> {
  const began = nowMs()
  const child = await Child.spawn({
    command: 'npm',
    args: ['start'],
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'info' },
    cwd: ROOT,
    group: true,
    graceMs: 15_000,
  })
  try {
    const { promise, resolve } = Promise.withResolvers<number>()
    let text = ''
    child.process.stdout?.on('data', (chunk: Buffer) => {
      text += String(chunk)
      if (text.includes('"listening"')) resolve(nowMs() - began)
    })
    return await deadline(promise, 60_000, 'npm start')
  } finally {
    await child.close()
  }
}

type Begin = { frame: number; processed: number }

/** From a publisher's POST to the first output frame, and to the first processed one. */
async function publisherStart(units: Units, warm: boolean, options: Options): Promise<Begin> {
  const server = await benchServer(options, { WARM_PIPELINES: warm ? '1' : '0' })
  const stop = new AbortController()
  try {
    // The pool has its runner when the pipeline is described.
    await sleep(1500)
    const began = nowMs()
    await using publisher = new TsPublisher(`${server.url}/ingest/bench`)
    const feeding = inRealTime((number) => publisher.write(units.at(number)), { signal: stop.signal })
    const { promise: first, resolve } = Promise.withResolvers<number>()
    await using _watch = await waitFor(
      'the stream',
      () => watchTs(`${server.url}/out/bench.ts`, (_pts, at) => resolve(at - began)).catch(() => undefined),
      { everyMs: 5 },
    )
    const processed = waitFor(
      'a processed frame',
      async () => (await statusOf(server.url, 'bench')).latencyMs.total.p50 > 0 && nowMs() - began,
      { everyMs: 5 },
    )
    const times = { frame: await deadline(first, 20_000, 'the first frame'), processed: await processed }
    stop.abort()
    await feeding
    return times
  } finally {
    stop.abort()
    await server.stop()
  }
}

/** From a viewer's POST to the last packet of its first frame. */
async function viewerStart(url: string): Promise<number> {
  const began = nowMs()
  const { promise, resolve } = Promise.withResolvers<number>()
  await using _viewer = await RtcViewer.open(url, ({ marker, at }) => marker && resolve(at - began))
  return await deadline(promise, 20_000, 'a frame')
}

async function viewers(units: Units, options: Options, repeat: number) {
  const server = await benchServer(options, { KEYFRAME_SECONDS: '10', PIPELINE_DIR: SLOW })
  const stop = new AbortController()
  const publish = (name: string, query = '') => {
    const publisher = new TsPublisher(`${server.url}/ingest/${name}${query}`)
    const feeding = inRealTime((number) => publisher.write(units.at(number)), { signal: stop.signal })
    return { publisher, feeding }
  }
  const times = { running: [] as number[], loading: [] as number[], waiting: [] as number[] }
  const streams = [publish('running')]
  try {
    await flowing(server.url, 'running')
    for (let round = 0; round < repeat; round++) {
      times.running.push(await viewerStart(`${server.url}/whep/running`))
      times.waiting.push(await viewerStart(`${server.url}/whep/waiting${round}`))
      const name = `loading${round}`
      streams.push(publish(name, `?pipeline=slow-to-load&params=${encodeURIComponent('{"load_ms":20000}')}`))
      await waitFor(
        'the loading stream',
        async () => (await statusOf(server.url, name).catch(() => undefined))?.publishing,
      )
      times.loading.push(await viewerStart(`${server.url}/whep/${name}`))
    }
    return times
  } finally {
    stop.abort()
    await Promise.all(streams.map(({ feeding }) => feeding))
    await Promise.all(streams.map(({ publisher }) => publisher[Symbol.asyncDispose]()))
    await server.stop()
  }
}

type Change = { frames: number; ms: number }

/**
 * From a change of params to the first frame that shows it: in frames after the answer, and in time after the request.
 */
async function paramsChanges(units: Units, options: Options, repeat: number): Promise<Change[]> {
  const server = await benchServer(options)
  const stop = new AbortController()
  await using publisher = new TsPublisher(`${server.url}/ingest/bench?pipeline=effects`)
  const feeding = inRealTime((number) => publisher.write(units.at(number)), { signal: stop.signal })
  try {
    await flowing(server.url, 'bench')
    const changes: Change[] = []
    for (let round = 0; round < repeat; round++) {
      await httpJson('PUT', `${server.url}/streams/bench/params`, { body: { effect: 'none' } })
      await sleep(1000)
      changes.push(await paramsChange(server.url))
    }
    return changes
  } finally {
    stop.abort()
    await feeding
    await server.stop()
  }
}

async function paramsChange(url: string): Promise<Change> {
  const arrivals = new Map<number, number>()
  let newest = 0
  await using _watch = await watchTs(`${url}/out/bench.ts`, (pts, at) => {
    newest = pts
    arrivals.set(pts, at)
  })
  await using recording = await record(`${url}/out/bench.ts`)
  await sleep(1500)
  const asked = nowMs()
  await httpJson('POST', `${url}/params`, { body: { effect: 'edges', strength: 1 } })
  const atAnswer = newest
  await sleep(700)
  recording.stop()
  const { frames } = await decodeGray(recording.bytes(), 'crop=iw:ih/2:0:ih/2,scale=16:8:flags=area,format=gray', 128)
  const [first] = frames
  const changed = first && frames.find(({ luma }) => Math.abs(mean(luma) - mean(first.luma)) > 30)
  if (!changed) throw new Error('the frame did not change')
  const pts = nearest([...arrivals.keys()], changed.pts)
  return { frames: Math.round((pts - atAnswer) / FRAME_TICKS), ms: arrivals.get(pts)! - asked }
}

const mean = (luma: Uint8Array) => luma.reduce((sum, value) => sum + value, 0) / luma.length

const nearest = (values: number[], to: number) => values.reduce((a, b) => (Math.abs(b - to) < Math.abs(a - to) ? b : a))

export const start: Benchmark = {
  name: 'start',
  about: 'How soon the server listens, a publisher and a viewer see their first frame, and a change of params shows',
  async run(options, say) {
    const { repeat = 5 } = options
    const units = await clipUnits(HD)
    const turns = Array.from({ length: repeat }, (_, i) => i)
    const begun = { npm: [] as number[], warm: [] as Begin[], cold: [] as Begin[] }
    for (const _ of turns) {
      begun.npm.push(await npmStart())
      begun.warm.push(await publisherStart(units, true, options))
      begun.cold.push(await publisherStart(units, false, options))
    }
    say(`npm start ${median(begun.npm).toFixed(0)} ms`)
    const seen = await viewers(units, options, repeat)
    say(`viewers ${median(seen.running).toFixed(0)} ms`)
    const changes = await paramsChanges(units, options, repeat)
    const rows: [string, number[]][] = [
      ['npm start to listening', begun.npm],
      ['publisher’s POST to the first frame out, warm pipeline', begun.warm.map(({ frame }) => frame)],
      ['the same, to the first processed frame', begun.warm.map(({ processed }) => processed)],
      ['publisher’s POST to the first frame out, cold pipeline', begun.cold.map(({ frame }) => frame)],
      ['the same, to the first processed frame', begun.cold.map(({ processed }) => processed)],
      ['viewer’s POST to its first whole frame, running stream', seen.running],
      ['the same while the pipeline loads', seen.loading],
      ['the same before there is a publisher', seen.waiting],
      ['POST of params to the arrival of the first changed frame', changes.map(({ ms }) => ms)],
    ]
    return {
      budgets: [
        { what: 'viewer’s POST to its first frame', limit: 1000, value: median(seen.running), unit: 'ms' },
        { what: 'the same while the pipeline loads', limit: 1000, value: median(seen.loading), unit: 'ms' },
        {
          what: 'frames from the answer of a params change to the first that shows it',
          limit: 2,
          value: median(changes.map(({ frames }) => frames)),
          unit: 'frames',
        },
      ],
      tables: [
        {
          title: 'Times in ms',
          columns: ['from what to what', 'median (lowest to highest)'],
          rows: rows.map(([what, values]) => [what, spread(values, 0)]),
          note: 'A publisher’s first frame needs its MPEG-TS tables, its first keyframe and the start of two ffmpegs.',
        },
      ],
      plots: [],
      samples: { ...begun, ...seen, changes },
    }
  },
}
