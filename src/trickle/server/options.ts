import type { IncomingMessage } from 'node:http'
import type { Context } from '../../core/resource.ts'
import type { Channel, ChannelOptions } from './channel.ts'

/** The server's policy. A hook refuses by throwing an AppError, whose code becomes the status. */
export type TrickleHooks = {
  /** Called before a request creates a channel, by `POST /{name}` or by its first segment. */
  beforeCreate?(request: IncomingMessage, name: string, mime: string): void | Promise<void>
  /** Called before a request deletes a channel. */
  beforeDelete?(request: IncomingMessage, name: string): void | Promise<void>
  /**
   * A request created this channel, still empty. The returned promise settles when it is known whether its publisher is
   * admitted, and never rejects; posts are answered after that. If it is not admitted, the channel is closed with the
   * reason.
   */
  onChannel?(channel: Channel, request: IncomingMessage): Promise<void> | undefined
}

export type TrickleServerOptions = TrickleHooks & {
  /** For every channel. */
  channel?: ChannelOptions
  /** Whether a segment may be posted to a channel that does not exist. */
  autocreate?: boolean
  /** Reports created and closed channels on the channel `_changes`. */
  changefeed?: boolean
  /** Limit of channels at once. */
  maxChannels?: number
  /** Limit of bytes of all channels together. */
  memoryBytes?: number
  /** Limit of segment reads at once, including waiting ones. */
  maxReaders?: number
  /** Channels created by requests are closed after this long without a byte. */
  idleTimeoutMs?: number
  /** Interval for closing idle channels. */
  sweepIntervalMs?: number
  /** Interval of `100 Continue` to a publisher that has not sent a byte yet. */
  keepaliveMs?: number
  /** A reader that takes nothing for this long, although there is data, is disconnected. */
  stallTimeoutMs?: number
}

export const SERVER_DEFAULTS = {
  autocreate: false,
  changefeed: false,
  maxChannels: 1024,
  memoryBytes: 512 * 1024 * 1024,
  maxReaders: 10_000,
  idleTimeoutMs: 300_000,
  sweepIntervalMs: 60_000,
  keepaliveMs: 10_000,
  stallTimeoutMs: 60_000,
} as const

/** The part of the server that the routes need. */
export interface ServedChannels {
  readonly options: TrickleServerOptions & Required<Pick<TrickleServerOptions, keyof typeof SERVER_DEFAULTS>>
  readonly context: Context
  /** Segment reads in progress. */
  readers: number
  get(name: string): Channel | undefined
  add(name: string, mime: string): Channel
  writesAlone(name: string): boolean
}
