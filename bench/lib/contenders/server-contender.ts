import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { http, httpJson } from '../../../test/helpers/server/http.ts'
import { startServer, type TestServer } from '../../../test/helpers/server/server.ts'
import { waitFor } from '../../../test/helpers/wait.ts'
import type { Options } from '../benchmark.ts'
import { type Watch, watchTs } from '../media/ts-frames.ts'
import { TsPublisher } from '../media/ts-publisher.ts'
import type { Units } from '../media/units.ts'
import type { OpenContender } from './contender.ts'

/** Maximum frame rate of the servers here: the highest value of the setting. */
export const MAX_FPS = 1000
/** More than any server holds back. */
const MOST_ON_THEIR_WAY = 1000

export type ServedPipeline = { pipeline: string; params?: Record<string, unknown> }

/** A server as its users start it, with room for any number of streams and no rate limit. */
export function benchServer(options: Options, env: Record<string, string> = {}): Promise<TestServer> {
  const profiling = options.profile && { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${options.profile}` }
  const open = { MAX_STREAMS: '200', MAX_FPS: String(MAX_FPS), MAX_SESSIONS_PER_MINUTE: '0', MAX_VIEWERS: '1000' }
  return startServer({ env: { ...open, ...profiling, ...env }, startLimitMs: 60_000 })
}

export async function statusOf(url: string, stream: string): Promise<StreamStatus> {
  const { status, json } = await httpJson<StreamStatus>('GET', `${url}/streams/${stream}`)
  if (status !== 200) throw new Error(`the status of ${stream} answered ${status}: ${JSON.stringify(json)}`)
  return json
}

/** A value of the server's Prometheus page; `undefined` while it is absent. */
export async function metric(url: string, name: string): Promise<number | undefined> {
  const { text } = await http('GET', `${url}/metrics`)
  const line = text.split('\n').find((one) => one.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length + 1))
}

/** 99th percentile of the server's event loop delay over its last ten seconds, in milliseconds. */
export async function eventLoopP99(url: string): Promise<number | undefined> {
  const seconds = await metric(url, 'millrace_event_loop_delay_seconds{percentile="99"}')
  return seconds === undefined ? undefined : seconds * 1000
}

/** One stream of a server: published to `/ingest`, watched at `/out`. */
export class ServedStream implements AsyncDisposable {
  readonly name: string
  readonly #url: string
  readonly #publisher: TsPublisher
  /** Numbers of the frames in flight, by time. */
  readonly #numbers = new Map<number, number>()
  #watch: Watch | undefined

  constructor(url: string, name: string, { pipeline, params }: ServedPipeline) {
    this.name = name
    this.#url = url
    const query = new URLSearchParams({ pipeline, ...(params && { params: JSON.stringify(params) }) })
    this.#publisher = new TsPublisher(`${url}/ingest/${name}?${query}`)
  }

  write(packet: EncodedPacket, number: number): void {
    this.#publisher.write(packet)
    this.#numbers.set(packet.pts, number)
    if (this.#numbers.size <= MOST_ON_THEIR_WAY) return
    const oldest = this.#numbers.keys().next().value
    if (oldest !== undefined) this.#numbers.delete(oldest)
  }

  /** Call when frames are in flight. `onFrame` gets the number of each output frame and its arrival. */
  async watch(onFrame: (number: number, at: number) => void): Promise<void> {
    // Frames that the server made itself have other times.
    const toNumber = (pts: number, at: number) => {
      const number = this.#numbers.get(pts)
      this.#numbers.delete(pts)
      if (number !== undefined) onFrame(number, at)
    }
    await waitFor(`frames of ${this.name}`, async () => {
      if (this.#publisher.refusal !== undefined) throw new Error(this.#publisher.refusal)
      const { egress, state } = await this.status()
      return egress.fps > 0 && state === 'ONLINE'
    })
    this.#watch = await watchTs(`${this.#url}/out/${this.name}.ts`, toNumber)
  }

  status(): Promise<StreamStatus> {
    return statusOf(this.#url, this.name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch?.[Symbol.asyncDispose]()
    await this.#publisher[Symbol.asyncDispose]()
  }
}

/** A whole server with one stream. */
export function serverContender(served: ServedPipeline, options: Options): OpenContender {
  return async (units: Units, onFrame) => {
    const server = await benchServer(options, { VIDEO_BITRATE_KBPS: String(units.size.kbps) })
    const stream = new ServedStream(server.url, 'bench', served)
    const watching = stream.watch(onFrame)
    watching.catch(() => {})
    return {
      pid: server.pid,
      write: (packet, number) => stream.write(packet, number),
      parts: async () => {
        await watching
        const { decoder, encoder, pipeline } = (await stream.status()).processes
        const known = { server: server.pid, decoder, encoder, pipeline }
        return Object.fromEntries(Object.entries(known).filter(([, pid]) => pid !== null)) as Record<string, number>
      },
      [Symbol.asyncDispose]: async () => {
        await stream[Symbol.asyncDispose]()
        await server.stop()
      },
    }
  }
}
