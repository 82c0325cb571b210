import type { IncomingMessage, ServerResponse } from 'node:http'
import { AppError } from '../../core/errors.ts'
import { type Closed, type Context, type Resource, Scope, sleep } from '../../core/resource.ts'
import type { Publication } from '../publication.ts'
import { Channel, type ChannelOptions } from './channel.ts'
import { newCounters, type TrickleCounters } from './counters.ts'
import { publishTo } from './local-publication.ts'
import { TrickleMemory } from './memory.ts'
import { SERVER_DEFAULTS, type ServedChannels, type TrickleServerOptions } from './options.ts'
import { answer } from './routes.ts'

/**
 * Required settings of the Node HTTP server: its defaults end long posts after five minutes, and close idle connections
 * at the moment a client that keeps them for a minute reuses them.
 */
export const HTTP_SERVER_OPTIONS = { requestTimeout: 0, keepAliveTimeout: 75_000, noDelay: true } as const

const CHANGEFEED = '_changes'

export type TrickleServerStats = TrickleCounters & { channels: number; readers: number; bytesHeld: number }

/** Runs from the call on; ends when its signal aborts or it is closed. */
export function openTrickle(options: TrickleServerOptions, context: Context): TrickleServer {
  return new TrickleServer(options, context)
}

/** Channels by name, and their HTTP interface. Closing it closes every channel. */
export class TrickleServer implements Resource, ServedChannels {
  readonly closed: Promise<Closed>
  readonly options: ServedChannels['options']
  readonly counters = newCounters()
  readonly context: Context
  /** Segment reads in progress. */
  readers = 0
  readonly #scope: Scope
  readonly memory: TrickleMemory
  readonly #channels = new Map<string, Channel>()
  /** Channels of this process, which closes them itself. */
  readonly #kept = new WeakSet<Channel>()
  readonly #changes: Publication | undefined

  constructor(options: TrickleServerOptions, context: Context) {
    this.options = { ...SERVER_DEFAULTS, ...options }
    this.context = context
    this.memory = new TrickleMemory(this.options.memoryBytes, this.counters)
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#scope.defer(() => {
      for (const channel of [...this.#channels.values()]) channel.close()
    })
    this.#scope.spawn((signal) => this.#sweep(signal))
    if (this.options.changefeed) this.#changes = publishTo(this.create(CHANGEFEED, 'application/json'))
  }

  /** Answers one request; `path` is the part after the mount point, such as `/name/7`. */
  handle(request: IncomingMessage, response: ServerResponse, path: string): void {
    answer(this, request, response, path)
  }

  get(name: string): Channel | undefined {
    return this.#channels.get(name)
  }

  /** Creates a channel of this process: no hooks are called, and it is not closed when idle. Its owner closes it. */
  create(name: string, mime: string, options: ChannelOptions = {}): Channel {
    const channel = this.add(name, mime, options)
    this.#kept.add(channel)
    return channel
  }

  /** Creates a channel that is closed when idle. Throws `conflict` or `capacity`. */
  add(name: string, mime: string, options: ChannelOptions = {}): Channel {
    if (this.#scope.signal.aborted) throw new AppError('conflict', 'the trickle server is closing')
    if (this.#channels.has(name)) throw new AppError('conflict', `channel ${name} exists`)
    const { maxChannels } = this.options
    if (this.#channels.size >= maxChannels) {
      throw new AppError('capacity', `all ${maxChannels} channels are in use`, { retryable: true })
    }
    const channel = new Channel(name, mime, { ...this.options.channel, ...options }, this.counters, this.memory)
    this.#channels.set(name, channel)
    channel.onClose(() => {
      this.#channels.delete(name)
      this.#tell({ removed: [name] })
    })
    this.#tell({ added: [name] })
    return channel
  }

  /** Whether only the server itself writes the channel. */
  writesAlone(name: string): boolean {
    return name === CHANGEFEED && this.options.changefeed
  }

  stats(): TrickleServerStats {
    return { ...this.counters, channels: this.#channels.size, readers: this.readers, bytesHeld: this.memory.bytes }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #tell(change: { added: string[] } | { removed: string[] }): void {
    if (!this.#changes || this.#scope.signal.aborted) return
    const writer = this.#changes.open()
    writer.write(Buffer.from(JSON.stringify(change)))
    writer.close()
  }

  async #sweep(signal: AbortSignal): Promise<undefined> {
    for (;;) {
      await sleep(this.options.sweepIntervalMs, signal)
      for (const channel of [...this.#channels.values()]) {
        if (this.#kept.has(channel) || channel.name.startsWith('_')) continue
        if (channel.idleMs < this.options.idleTimeoutMs) continue
        this.context.log.info({ channel: channel.name, idleMs: Math.round(channel.idleMs) }, 'closed idle channel')
        channel.close()
      }
    }
  }
}
