import type { Reader } from '../core/broadcast.ts'
import { type Closed, type Context, type Resource, Scope } from '../core/resource.ts'
import { openTrickleEgress, type TrickleEgress } from '../trickle/egress.ts'
import { JsonPublisher } from '../trickle/json.ts'
import type { ChannelOptions } from '../trickle/server/channel.ts'
import { publishTo } from '../trickle/server/local-publication.ts'
import { subscribeTo } from '../trickle/server/local-subscription.ts'
import type { TrickleServer } from '../trickle/server/server.ts'
import { type ControlledStream, followControl } from './control.ts'
import type { StreamData } from './output/data.ts'

const JSON_TYPE = 'application/json'
/** For a reader that is behind, as with the other outputs. */
const KEPT_MESSAGES = 1000

/** The part of a stream that its channels need. */
export type ChannelStream = ControlledStream & { readonly name: string; readonly data: StreamData; subscribe(): Reader }

/**
 * A stream's channels on the built-in trickle server: `{stream}-out` has its segments, `{stream}-events` its events,
 * `{stream}-data` the pipeline's messages, and each message on `{stream}-control` replaces its params. They live as
 * long as the stream.
 */
export class StreamChannels implements Resource {
  readonly closed: Promise<Closed>
  readonly #scope: Scope
  #egress: TrickleEgress | undefined

  constructor(stream: ChannelStream, trickle: TrickleServer, context: Context) {
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    const open = (suffix: string, mime: string, options?: ChannelOptions) => {
      const channel = trickle.create(`${stream.name}-${suffix}`, mime, options)
      this.#scope.defer(() => channel.close())
      return channel
    }
    const { out, told, said, obeyed } = this.#all(() => ({
      out: open('out', 'video/mp2t'),
      told: open('events', JSON_TYPE),
      said: open('data', JSON_TYPE, { ringSegments: KEPT_MESSAGES }),
      obeyed: open('control', JSON_TYPE),
    }))
    const events = this.#scope.use(new JsonPublisher(publishTo(told)))
    const messages = this.#scope.use(publishTo(said))
    const data = stream.data.subscribe(() => {
      // Immediately: a pipeline may send many messages at once.
      for (let line = data.shift(); line !== undefined; line = data.shift()) {
        const segment = messages.open()
        segment.write(Buffer.from(line))
        segment.close()
      }
    })
    this.#scope.defer(() => data.end())
    const { signal } = this.#scope
    const control = subscribeTo(obeyed, -2, signal)
    this.#scope.defer(stream.events.subscribe((event) => events.send({ event, queue_event_type: 'ai_stream_events' })))
    this.#scope.spawn(async () => {
      const reader = stream.subscribe()
      this.#egress = await openTrickleEgress({ reader, to: { channel: out } }, { signal, log: context.log })
      return await this.#egress.closed
    })
    this.#scope.spawn(async () => {
      await followControl(stream, control)
      return undefined
    })
  }

  /** If one channel cannot be made, none is left. */
  #all<T>(open: () => T): T {
    try {
      return open()
    } catch (thrown) {
      void this.#scope.close()
      throw thrown
    }
  }

  /** Number of segments published. */
  get segments(): number {
    return this.#egress?.segments ?? 0
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
