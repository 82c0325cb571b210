import type { MiddlewareHandler } from 'hono'
import type { Context } from '../../core/resource.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import type { IceSettings } from '../../webrtc/ice/agent.ts'
import { openWhepSession, type WhepSession } from '../../webrtc/whep/whep.ts'
import { openWhipSession } from '../../webrtc/whip/whip.ts'
import { publishQuery } from './ingest-query.ts'
import type { SignallingOptions } from './signalling.ts'
import { WhepQuery } from './whep-query.ts'

/** How WebRTC peers reach this server, and the life their sessions belong to. */
export type WebRtc = { ice: IceSettings; context: Context }

/**
 * `POST /whep/{stream}`: a viewer, who may come before the publisher and then sees the overlay, or, of the
 * input, nothing.
 */
export function whepEndpoint(
  registry: StreamRegistry,
  { ice, context }: WebRtc,
  guard: MiddlewareHandler,
): SignallingOptions {
  return {
    kind: 'whep',
    iceServers: ice.iceServers,
    guard,
    open: async ({ stream: name, offer, query }) => {
      const { view } = WhepQuery.parse(query)
      const stream = await registry.getOrOpen(name)
      let session: WhepSession | undefined
      const leave = stream.admitViewer(view, () => session?.stats().availableKbps)
      try {
        session = await openWhepSession(
          {
            offer,
            ice,
            reader: stream.subscribe(view),
            requestKeyframe: () => stream.requestKeyframe(view),
            playoutDelayMs: () => stream.playoutDelayMs(view),
          },
          { ...context, log: context.log.child({ stream: name }) },
        )
        void session.closed.then(leave)
        return session
      } catch (thrown) {
        leave()
        throw thrown
      }
    },
  }
}

/** `POST /whip/{stream}`: a publisher. It is answered before its media flows, so what fails later ends the session. */
export function whipEndpoint(
  registry: StreamRegistry,
  { ice, context }: WebRtc,
  guard: MiddlewareHandler,
): SignallingOptions {
  return {
    kind: 'whip',
    iceServers: ice.iceServers,
    guard,
    open: async ({ stream: name, offer, query }) => {
      const log = context.log.child({ stream: name })
      const options = publishQuery(query)
      registry.checkPublish(name)
      const session = await openWhipSession({ offer, ice }, { ...context, log })
      // The pipeline is leased before the answer, so that a publisher hears at once what is wrong with its wishes.
      const leased = Promise.withResolvers<void>()
      const published = registry.publish(name, {
        ...options,
        open: ({ signal }) => {
          leased.resolve()
          // A publisher that sends nothing would not notice that its stream has ended.
          if (signal?.aborted) void session.close()
          else signal?.addEventListener('abort', () => void session.close(), { once: true })
          return session.source
        },
      })
      session.source.catch(() => {})
      published.catch((err) => {
        leased.reject(err)
        log.warn({ err }, 'whip publisher failed')
        void session.close()
      })
      try {
        await leased.promise
      } catch (thrown) {
        await session.close()
        throw thrown
      }
      return session
    },
  }
}
