import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Child } from '../../../src/core/child.ts'
import { nowMs } from '../../../src/core/clock.ts'
import type { PushStatus } from '../../../src/remote/push/push.ts'
import { ffmpegPath } from '../../../test/helpers/binaries.ts'
import { freePort } from '../../../test/helpers/media/media-peer.ts'
import { httpJson } from '../../../test/helpers/server/http.ts'
import { waitFor } from '../../../test/helpers/wait.ts'
import type { Options } from '../benchmark.ts'
import { benchServer } from '../contenders/server-contender.ts'
import { cpuMs } from '../processes.ts'
import { quantile } from '../statistics.ts'
import { inRealTime } from './feed.ts'
import { Feed, STEP_TICKS, stepOf, WARM_UP_MS } from './ffmpeg-feed.ts'
import { Flights } from './flights.ts'
import { flowing } from './routes.ts'
import { watchTs } from './ts-frames.ts'
import { FPS, type Units } from './units.ts'

export const OUTPUTS = 4
export type OutputKind = 'rtmp' | 'srt' | 'rtsp' | 'whip' | 'recording'

const LISTEN: Partial<Record<OutputKind, string[]>> = {
  rtmp: ['-listen', '1'],
  rtsp: ['-rtsp_flags', 'listen'],
  srt: ['-mode', 'listener'],
}

/** An ffmpeg that receives a stream and discards it. */
function receiver(kind: OutputKind, url: string): Promise<Child> {
  const args = ['-loglevel', 'quiet', '-nostdin', ...(LISTEN[kind] ?? []), '-i', url, '-c', 'copy', '-f', 'null', '-']
  return Child.spawn({ command: ffmpegPath(), args, stdio: 'ignore', graceMs: 1000 })
}

const originOf = (url: string): string => {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

async function send(server: string, urls: readonly string[], type?: string): Promise<void> {
  const outputs = `${server}/streams/bench/outputs`
  for (const url of urls) await httpJson('POST', outputs, { body: { url, ...(type && { type }) } })
  await waitFor('the outputs', async () => {
    const { json } = await httpJson<PushStatus[]>('GET', outputs)
    return json.filter(({ state }) => state === 'running').length === urls.length
  })
}

/** Cost of one output in the server's own process, in milliseconds per frame; its ffmpeg is counted separately. */
export async function cost(kind: OutputKind, units: Units, seconds: number, options: Options): Promise<number> {
  // A view of a stream is recorded only once.
  const count = kind === 'recording' ? 1 : OUTPUTS
  const ports = await Promise.all(Array.from({ length: count }, freePort))
  const other = kind === 'whip' ? await benchServer(options) : undefined
  const urls = ports.map((port, i) => {
    if (kind === 'whip') return `${other?.url}/whip/x${i}`
    return kind === 'srt' ? `srt://127.0.0.1:${port}` : `${kind}://127.0.0.1:${port}/live/x`
  })
  const folder = await mkdtemp(join(tmpdir(), 'mr-bench-outputs-'))
  const allowed = { ALLOWED_URLS: urls.map(originOf).join(), RECORD_DIR: folder }
  const server = await benchServer(options, kind === 'recording' ? { RECORD_DIR: folder } : allowed)
  const stop = new AbortController()
  const receivers: Child[] = []
  await using feed = await Feed.open(['-f', 'mpegts', `${server.url}/ingest/bench`])
  const feeding = inRealTime((number) => feed.write(units, number), { signal: stop.signal })
  const measured = async (): Promise<number> => {
    await sleep(WARM_UP_MS)
    const before = cpuMs(server.pid)
    await sleep(seconds * 1000)
    return (cpuMs(server.pid) - before) / (seconds * FPS)
  }
  try {
    await flowing(server.url, 'bench')
    const alone = await measured()
    if (kind === 'recording') {
      await httpJson('POST', `${server.url}/streams/bench/recordings`, { body: {} })
    } else {
      if (kind !== 'whip') receivers.push(...(await Promise.all(urls.map((url) => receiver(kind, url)))))
      await send(server.url, urls, kind === 'whip' ? kind : undefined)
    }
    return ((await measured()) - alone) / count
  } finally {
    stop.abort()
    await feeding
    await Promise.all([server.stop(), ...receivers.map((one) => one.close())])
    await other?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

export type Beside = { p50: number; p99: number; gap: number }

/** Effect on a stream's viewer when one of its two push targets stops reading, and the loss of each target. */
export async function slowTarget(
  units: Units,
  seconds: number,
  options: Options,
): Promise<{ before: Beside; after: Beside; dropped: { slow: number; other: number } }> {
  const ports = [await freePort(), await freePort()]
  const urls = ports.map((port) => `rtmp://127.0.0.1:${port}/live/x`)
  // The sockets' buffers fill up soon, and the target is not given up for it.
  const patient = { INPUT_TIMEOUT_SECONDS: '60', VIDEO_BITRATE_KBPS: '6000', ALLOWED_URLS: urls.map(originOf).join() }
  const server = await benchServer(options, patient)
  const stop = new AbortController()
  const receivers = await Promise.all(urls.map((url) => receiver('rtmp', url)))
  const flights = new Flights()
  const arrivals: number[] = []
  const outputs = async () => (await httpJson<PushStatus[]>('GET', `${server.url}/streams/bench/outputs`)).json
  try {
    await using feed = await Feed.open(['-f', 'mpegts', `${server.url}/ingest/bench`])
    const feeding = inRealTime(
      (number) => {
        feed.write(units, number)
        flights.sent(stepOf(number), nowMs())
      },
      { signal: stop.signal },
    )
    await flowing(server.url, 'bench')
    await send(server.url, urls)
    let begin: number | undefined
    await using _watch = await watchTs(`${server.url}/out/bench.ts`, (pts, at) => {
      begin ??= pts
      arrivals.push(at)
      flights.arrived(Math.round((pts - begin) / STEP_TICKS), at)
    })
    await sleep(WARM_UP_MS)
    const since = nowMs()
    await sleep(seconds * 1000)
    receivers[0]?.process.kill('SIGSTOP')
    const stopped = nowMs()
    await waitFor('losses of the target', async () => (await outputs()).some(({ dropped }) => dropped > 0), {
      limitMs: 120_000,
    })
    await sleep(seconds * 1000)
    const ended = nowMs()
    const losses = await outputs()
    stop.abort()
    await feeding
    flights.resolve()
    const of = (from: number, to: number): Beside => {
      const times = flights.times(from, to)
      const gaps = arrivals.filter((at) => at >= from && at <= to).map((at, i, all) => (i > 0 ? at - all[i - 1]! : 0))
      return { p50: quantile(times, 0.5), p99: quantile(times, 0.99), gap: Math.max(...gaps) }
    }
    const droppedBy = (at: number) => losses[at]?.dropped ?? Number.NaN
    return {
      before: of(since, stopped),
      after: of(stopped, ended),
      dropped: { slow: droppedBy(0), other: droppedBy(1) },
    }
  } finally {
    stop.abort()
    receivers[0]?.process.kill('SIGCONT')
    await Promise.all([server.stop(), ...receivers.map((one) => one.close())])
  }
}
