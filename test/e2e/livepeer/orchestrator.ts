import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { HTTP_SERVER_OPTIONS, openTrickle, type TrickleServer } from '../../../src/trickle/server/server.ts'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { type HttpAnswer, http, httpJson } from '../../helpers/server/http.ts'
import { LogCollector } from '../../helpers/server/logs.ts'

const MOUNT = '/ai/trickle'
/** Writes per segment: one per frame. */
const PIECES = 30

export type OrchestratorEvent = { event: Record<string, unknown>; queue_event_type: string; arrivedAt: number }

export type StartOptions = {
  params?: Record<string, unknown>
  /** Body fields that replace or extend those of the orchestrator. */
  body?: Record<string, unknown>
  path?: string
  headers?: Record<string, string>
  /** The gateway gives up a session without events for this time; 30 s on the network. */
  silenceMs?: number
}

/**
 * An orchestrator with its gateway as a runner sees them, built from the runner contract (§5.1, §5.3): trickle
 * channels that only it creates, one segment per request, its own watch on the events.
 */
export class StandInOrchestrator {
  readonly trickle: TrickleServer
  readonly origin: string
  /** `METHOD /path` of every channel request. */
  readonly requests: string[] = []
  /** Handles a request in place of the trickle server when it returns true. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined
  readonly #server: Server

  private constructor(trickle: TrickleServer, origin: string, server: Server) {
    this.trickle = trickle
    this.origin = origin
    this.#server = server
  }

  static async open(): Promise<StandInOrchestrator> {
    const trickle = openTrickle({ autocreate: false }, { log: new LogCollector().log })
    const server = createServer(HTTP_SERVER_OPTIONS, (incoming, outgoing) => {
      const { pathname } = new URL(incoming.url ?? '/', 'http://x')
      const path = pathname.startsWith(MOUNT) ? pathname.slice(MOUNT.length) : pathname
      self.requests.push(`${incoming.method} ${path}`)
      if (!self.intercept?.(incoming, outgoing)) trickle.handle(incoming, outgoing, path)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const self = new StandInOrchestrator(trickle, `http://127.0.0.1:${port}`, server)
    return self
  }

  url(channel: string): string {
    return `${this.origin}${MOUNT}/${channel}`
  }

  /** Creates the four channels and asks the runner to start. */
  async start(runner: string, options: StartOptions = {}): Promise<OrchestratedStream> {
    const id = randomBytes(4).toString('hex')
    const stream = new OrchestratedStream(this, id, options.silenceMs)
    const { params = {}, body = {}, path = '/live-video-to-video', headers = {} } = options
    const answer = await http('POST', `${runner}${path}`, {
      headers,
      body: {
        subscribe_url: this.url(id),
        publish_url: this.url(`${id}-out`),
        control_url: this.url(`${id}-control`),
        events_url: this.url(`${id}-events`),
        params,
        model_id: 'effects',
        gateway_request_id: 'request-1',
        manifest_id: id,
        stream_id: 'stream-1',
        ...body,
      },
    })
    stream.answer = answer
    if (answer.status !== 200) stream.end()
    return stream
  }

  /** Is gone without a word, as after a crash: connections break, and new ones are refused. */
  vanish(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.trickle.close()
    this.vanish()
  }
}

/** A stream as its gateway sees it. */
export class OrchestratedStream {
  readonly id: string
  readonly events: OrchestratorEvent[] = []
  /** Complete output segments. */
  readonly output: Buffer[] = []
  /** True when the gateway has given up the session. */
  aborted = false
  answer: HttpAnswer | undefined
  readonly #orchestrator: StandInOrchestrator
  readonly #stop = new AbortController()
  #controls = 0

  constructor(orchestrator: StandInOrchestrator, id: string, silenceMs = 30_000) {
    this.id = id
    this.#orchestrator = orchestrator
    const { trickle } = orchestrator
    trickle.create(id, 'video/MP2T')
    trickle.create(`${id}-out`, 'video/MP2T')
    trickle.create(`${id}-control`, 'application/json')
    trickle.create(`${id}-events`, 'application/json')
    void this.#readEvents()
    void this.#read(`${id}-out`, (bytes) => this.output.push(bytes))
    void this.#keepAlive()
    void this.#watch(silenceMs)
  }

  get ended(): boolean {
    return this.#stop.signal.aborted
  }

  ofType(type: string): OrchestratorEvent[] {
    return this.events.filter(({ event }) => event.type === type)
  }

  has(suffix: '' | '-out' | '-control' | '-events'): boolean {
    return this.#orchestrator.trickle.get(this.id + suffix) !== undefined
  }

  /** Publishes each file as one segment, its bytes spread over a second, as an encoder sends them. */
  async publish(segments: Buffer[]): Promise<void> {
    const begun = performance.now()
    for (const [seq, bytes] of segments.entries()) {
      if (this.ended) return
      const outgoing = request(`${this.#orchestrator.url(this.id)}/${seq}`, {
        method: 'POST',
        headers: { 'content-type': 'video/MP2T' },
      })
      const answered = once(outgoing, 'response').then(([response]) => (response as IncomingMessage).resume())
      answered.catch(() => {})
      for (let piece = 0; piece < PIECES && !this.ended; piece++) {
        outgoing.write(bytes.subarray((bytes.length * piece) / PIECES, (bytes.length * (piece + 1)) / PIECES))
        await sleep(Math.max(0, begun + (seq + (piece + 1) / PIECES) * 1000 - performance.now()))
      }
      outgoing.end()
      await answered.catch(() => {})
    }
  }

  /** Sends a control message, optionally in chunks with pauses between them. */
  async control(message: unknown, pieces = 1): Promise<void> {
    const text = typeof message === 'string' ? message : JSON.stringify(message)
    const outgoing = request(`${this.#orchestrator.url(`${this.id}-control`)}/${this.#controls++}`, {
      method: 'POST',
      headers: { 'content-type': 'video/MP2T' },
    })
    const answered = once(outgoing, 'response').then(([response]) => (response as IncomingMessage).resume())
    const size = Math.ceil(text.length / pieces)
    for (let at = 0; at < text.length; at += size) {
      outgoing.write(text.slice(at, at + size))
      if (pieces > 1) await sleep(50)
    }
    outgoing.end()
    await answered
  }

  /** Ends the input: the orchestrator closes all four channels. */
  end(): void {
    this.#stop.abort()
    const { trickle } = this.#orchestrator
    for (const suffix of ['', '-out', '-control', '-events']) trickle.get(this.id + suffix)?.close()
  }

  /** Ends the input channel only. */
  endInput(): void {
    this.#orchestrator.trickle.get(this.id)?.close()
  }

  async #readEvents(): Promise<void> {
    await this.#read(`${this.id}-events`, (bytes) => {
      const message = JSON.parse(bytes.toString()) as OrchestratorEvent
      this.events.push({ ...message, arrivedAt: Date.now() })
    })
  }

  /** Subscribes as the contract does: from 0 on, then the number returned by the server plus one. */
  async #read(channel: string, take: (bytes: Buffer) => void): Promise<void> {
    for (let seq = 0; ; ) {
      const answer = await http('GET', `${this.#orchestrator.url(channel)}/${seq}`, { limitMs: 120_000 }).catch(
        () => undefined,
      )
      if (!answer || answer.status === 404 || answer.headers['lp-trickle-closed']) return
      if (answer.status === 470) {
        seq = Number(answer.headers['lp-trickle-latest'])
        continue
      }
      if (answer.bytes.length > 0) take(answer.bytes)
      seq = Number(answer.headers['lp-trickle-seq']) + 1
    }
  }

  async #keepAlive(): Promise<void> {
    while (!this.ended) {
      await sleep(700)
      if (this.has('-control')) await this.control({ keep: 'alive' }).catch(() => {})
    }
  }

  async #watch(silenceMs: number): Promise<void> {
    const begun = Date.now()
    while (!this.ended) {
      await sleep(50)
      const last = this.events.at(-1)?.arrivedAt ?? begun
      if (Date.now() - last < silenceMs) continue
      this.aborted = true
      this.end()
    }
  }
}

export type Health = { status: string }

export const health = async (runner: string): Promise<string> => {
  const { json } = await httpJson<Health>('GET', `${runner}/health`)
  return json.status
}

/** A clip cut at its keyframes into segments of one second, each an independent transport stream. */
export async function makeSegments(seconds: number): Promise<Buffer[]> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-segments-'))
  try {
    const file = join(folder, 'clip.ts')
    await makeNumberedClip({ file, seconds, width: 640, height: 360, fps: 30, gop: 30, audio: true, kbps: 800 })
    await runTool(ffmpegPath(), [
      ...['-v', 'error', '-i', file, '-map', '0', '-c', 'copy', '-copyts'],
      ...['-f', 'segment', '-segment_time', '1', '-segment_format', 'mpegts', join(folder, '%03d.ts')],
    ])
    const names = (await readdir(folder)).filter((name) => /^\d+\.ts$/.test(name)).sort()
    return await Promise.all(names.map((name) => readFile(join(folder, name))))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
