import type { Reader } from '../core/broadcast.ts'
import { type Closed, type Context, type Resource, Scope } from '../core/resource.ts'
import { openTrickleEgress, type TrickleEgress } from '../trickle/egress.ts'
import { JsonPublisher } from '../trickle/json.ts'
import { publishTo } from '../trickle/server/local-publication.ts'
import { subscribeTo } from '../trickle/server/local-subscription.ts'
import type { TrickleServer } from '../trickle/server/server.ts'
import { type ControlledStream, followControl } from './control.ts'

const JSON_TYPE = 'application/json'

/** A stream, as far as its channels go. */
export type ChannelStream = ControlledStream & { readonly name: string; subscribe(): Reader }

/**
 * A stream's channels on the built-in trickle server: `{stream}-out` carries its segments, `{stream}-events` what happens,
 * and each message on `{stream}-control` replaces its params. They come and go with the stream.
 */
export class StreamChannels implements Resource {
  readonly closed: Promise<Closed>
  readonly #scope: Scope
  #egress: TrickleEgress | undefined

  constructor(stream: ChannelStream, trickle: TrickleServer, context: Context) {
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    const open = (suffix: string, mime: string) => {
      const channel = trickle.create(`${stream.name}-${suffix}`, mime)
      this.#scope.defer(() => channel.close())
      return channel
    }
    const out = open('out', 'video/mp2t')
    const events = this.#scope.use(new JsonPublisher(publishTo(open('events', JSON_TYPE))))
    const { signal } = this.#scope
    const control = subscribeTo(open('control', JSON_TYPE), -2, signal)
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

  /** Segments published so far. */
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
