import { type ClientRequest, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs } from '../src/core/clock.ts'
import { http } from '../test/helpers/server/http.ts'
import { waitFor } from '../test/helpers/wait.ts'
import type { Benchmark, Options } from './lib/benchmark.ts'
import { openPeer } from './lib/contenders/peer.ts'
import { benchServer } from './lib/contenders/server-contender.ts'
import { treeCpuMs } from './lib/processes.ts'
import { median, percentiles, spread } from './lib/statistics.ts'

/** 8 Mbit/s in a hundred pieces per second, segments of one second. */
const CHUNK_BYTES = 10_000
const CHUNKS_A_SECOND = 100
const READERS = [1, 10, 100]
const STAMP_BYTES = 8
/** CPU time per second: a waiting server uses less. */
const QUIET_MS = 50

type Server = AsyncDisposable & {
  /** URL of the channels. */
  readonly base: string
  /** CPU time of its whole process tree. */
  cpuMs(): number
}
type Round = {
  readers: number
  deliveredPart: number
  cpu: number
  megabytesPerCpuSecond: number
  p50: number
  p99: number
}

/** Reads a channel from its beginning; each chunk begins with the time at which it was written. */
class Reader {
  received = 0
  readonly delays: number[] = []
  readonly #channel: string
  #request: ClientRequest | undefined
  #stopped = false

  constructor(channel: string) {
    this.#channel = channel
    this.#next(0)
  }

  stop(): void {
    this.#stopped = true
    this.#request?.destroy()
  }

  #next(seq: number): void {
    if (this.#stopped) return
    const asked = request(`${this.#channel}/${seq}`, { agent: false }, (response) => {
      let at = 0
      response.on('data', (chunk: Buffer) => {
        this.received += chunk.length
        const from = (CHUNK_BYTES - (at % CHUNK_BYTES)) % CHUNK_BYTES
        for (let stamp = from; stamp + STAMP_BYTES <= chunk.length; stamp += CHUNK_BYTES) {
          this.delays.push(nowMs() - chunk.readDoubleLE(stamp))
        }
        at += chunk.length
      })
      response.once('end', () => this.#next(seq + 1))
      response.on('error', () => {})
    })
    this.#request = asked
    asked.on('error', () => {})
    asked.end()
  }
}

async function measure({ base, cpuMs }: Server, count: number, seconds: number): Promise<Round> {
  const channel = `${base}/bench${Math.round(nowMs())}`
  // JSON channels are plain channels: their content is not decoded.
  const { status } = await http('POST', channel, { headers: { 'expect-content': 'application/json' } })
  if (status >= 300) throw new Error(`${channel} answered ${status}`)
  const readers = Array.from({ length: count }, () => new Reader(channel))
  try {
    await sleep(500)
    const [from, start] = [cpuMs(), nowMs()]
    const sent = await publish(channel, seconds)
    await sleep(300)
    const cpuSeconds = (cpuMs() - from) / 1000
    const received = readers.reduce((sum, reader) => sum + reader.received, 0)
    const delays = percentiles(readers.flatMap((reader) => reader.delays))
    return {
      readers: count,
      deliveredPart: received / sent / count,
      cpu: (cpuSeconds * 1000) / (nowMs() - start),
      megabytesPerCpuSecond: (sent + received) / 1e6 / Math.max(0.01, cpuSeconds),
      p50: delays.p50,
      p99: delays.p99,
    }
  } finally {
    for (const reader of readers) reader.stop()
    await http('DELETE', channel)
  }
}

/** Returns the bytes sent. */
async function publish(channel: string, seconds: number): Promise<number> {
  const open = (seq: number) => {
    const outgoing = request(`${channel}/${seq}`, { method: 'POST', agent: false })
    outgoing.on('response', (response) => response.resume()).on('error', () => {})
    return outgoing
  }
  const total = seconds * CHUNKS_A_SECOND
  const start = nowMs()
  let segment = open(0)
  for (let number = 0; number < total; number++) {
    const wait = start + (number * 1000) / CHUNKS_A_SECOND - nowMs()
    if (wait > 0.5) await sleep(wait)
    if (number > 0 && number % CHUNKS_A_SECOND === 0) {
      segment.end()
      segment = open(number / CHUNKS_A_SECOND)
    }
    const chunk = Buffer.alloc(CHUNK_BYTES, number & 255)
    chunk.writeDoubleLE(nowMs())
    segment.write(chunk)
  }
  segment.end()
  return total * CHUNK_BYTES
}

/** Waits for work after the server's start, such as describing pipelines, which is no cost of a channel. */
async function settled(pid: number): Promise<void> {
  let before: number | undefined
  await waitFor(
    'the server to have started',
    () => {
      const now = treeCpuMs(pid)
      const quiet = before !== undefined && now - before <= QUIET_MS
      before = now
      return quiet
    },
    { everyMs: 1000 },
  )
}

async function millrace(options: Options): Promise<Server> {
  const server = await benchServer(options)
  await settled(server.pid)
  return {
    base: `${server.url}/trickle`,
    cpuMs: () => treeCpuMs(server.pid),
    [Symbol.asyncDispose]: async () => {
      await server.stop()
    },
  }
}

async function peer(options: Options): Promise<Server> {
  const peer = await openPeer(options, 'http://127.0.0.1:{port}/trickle')
  return { base: peer.url, cpuMs: peer.cpuMs, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() }
}

export const trickle: Benchmark = {
  name: 'trickle',
  about: 'One trickle publisher of 8 Mbit/s and many readers: what passes, what it costs, and how late it is',
  async run(options, say) {
    const { seconds = 8, repeat = 2 } = options
    const servers = [{ name: 'millrace', open: millrace }, ...(options.peer ? [{ name: 'peer', open: peer }] : [])]
    const results = servers.map(({ name }) => ({ name, rounds: [] as Round[] }))
    for (let round = 0; round < repeat; round++) {
      for (const [i, { name, open }] of servers.entries()) {
        await using server = await open(options)
        for (const readers of READERS) {
          const taken = await measure(server, readers, seconds)
          results[i]!.rounds.push(taken)
          say(
            `${name}, ${readers} readers: ${taken.megabytesPerCpuSecond.toFixed(0)} MB a second of processor time, p50 ${taken.p50.toFixed(2)} ms`,
          )
        }
      }
    }
    return {
      budgets: [],
      tables: [
        {
          title: 'Bytes through a channel',
          columns: [
            'server',
            'readers',
            'delivered, %',
            'of a core, %',
            'MB a second of processor time',
            'p50, ms',
            'p99, ms',
          ],
          rows: results.flatMap(({ name, rounds }) =>
            READERS.map((readers) => {
              const of = (what: keyof Round) =>
                rounds.flatMap((round) => (round.readers === readers ? round[what] : []))
              return [
                name,
                readers,
                Number((median(of('deliveredPart')) * 100).toFixed(1)),
                Math.round(median(of('cpu')) * 100),
                spread(of('megabytesPerCpuSecond'), 0),
                median(of('p50')),
                median(of('p99')),
              ]
            }),
          ),
          note: 'Bytes in and out counted together. The publisher and the readers are one process on the same machine, whose share of the delay is in all rows.',
        },
      ],
      plots: [],
      samples: results,
    }
  },
}
