import type { MiddlewareHandler } from 'hono'
import type { Context } from '../core/resource.ts'
import type { StreamRegistry } from '../stream/registry.ts'
import type { IceSettings } from '../webrtc/ice-agent.ts'
import { openWhepSession } from '../webrtc/whep.ts'
import type { SignallingOptions } from './signalling.ts'

/** How WebRTC peers reach this server, and the life their sessions belong to. */
export type WebRtc = { ice: IceSettings; context: Context }

/** `POST /whep/{stream}`: a viewer, who may come before the publisher and then sees the waiting picture. */
export function whepEndpoint(
  registry: StreamRegistry,
  { ice, context }: WebRtc,
  guard: MiddlewareHandler,
): SignallingOptions {
  return {
    kind: 'whep',
    iceServers: ice.iceServers,
    guard,
    open: async ({ stream: name, offer }) => {
      const stream = registry.getOrOpen(name)
      const leave = stream.admitViewer()
      try {
        const session = await openWhepSession(
          { offer, ice, reader: stream.subscribe(), requestKeyframe: () => stream.requestKeyframe() },
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
