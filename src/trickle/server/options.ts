import type { IncomingMessage } from 'node:http'
import type { Context } from '../../core/resource.ts'
import type { Channel, ChannelOptions } from './channel.ts'

/** The server's policy, from outside. A hook refuses by throwing an AppError, whose code becomes the status. */
export type TrickleHooks = {
  /** Before a request creates a channel, by `POST /{name}` or by its first segment. */
  beforeCreate?(request: IncomingMessage, name: string, mime: string): void | Promise<void>
  /** Before a request deletes a channel, which still exists then. */
  beforeDelete?(request: IncomingMessage, name: string): void | Promise<void>
  /** A request created this channel; nothing is in it yet. */
  onChannel?(channel: Channel, request: IncomingMessage): void
}

export type TrickleServerOptions = TrickleHooks & {
  /** For every channel. */
  channel?: ChannelOptions
  /** A segment may be posted to a channel that does not exist. */
  autocreate?: boolean
  /** Tells of channels that come and go on the channel `_changes`. */
  changefeed?: boolean
  /** Channels at once. */
  maxChannels?: number
  /** Segment reads at once, waiting ones included. */
  maxReaders?: number
  /** Channels that were created by requests and got no byte for so long are closed. */
  idleTimeoutMs?: number
  /** How often idle ones are looked for. */
  sweepIntervalMs?: number
  /** Between two `100 Continue` to a publisher that has not sent a byte yet. */
  keepaliveMs?: number
  /** A reader that takes nothing for so long while there is something to take is cut off. */
  stallTimeoutMs?: number
}

export const SERVER_DEFAULTS = {
  autocreate: false,
  changefeed: false,
  maxChannels: 1024,
  maxReaders: 10_000,
  idleTimeoutMs: 300_000,
  sweepIntervalMs: 60_000,
  keepaliveMs: 10_000,
  stallTimeoutMs: 60_000,
} as const

/** What the routes need of the server. */
export interface ServedChannels {
  readonly options: TrickleServerOptions & Required<Pick<TrickleServerOptions, keyof typeof SERVER_DEFAULTS>>
  readonly context: Context
  /** Segment reads in progress. */
  readers: number
  get(name: string): Channel | undefined
  add(name: string, mime: string): Channel
  writesAlone(name: string): boolean
}
