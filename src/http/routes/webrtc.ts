import type { HttpBindings } from '@hono/node-server'
import type { Context as RequestContext } from 'hono'
import { parseSdp } from '../../codec/sdp/session.ts'
import type { Context } from '../../core/resource.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import type { IceServer, IceSettings } from '../../webrtc/ice/agent.ts'
import { negotiate, sentVideoCodec } from '../../webrtc/signalling/negotiate.ts'
import { openWhepSession, type WhepSession } from '../../webrtc/whep/whep.ts'
import { openWhipSession } from '../../webrtc/whip/whip.ts'
import type { Guards } from '../guards/auth.ts'
import { paramsService } from '../params/channel.ts'
import { publishQuery } from './ingest-query.ts'
import type { SignallingOptions } from './signalling.ts'
import { WhepQuery } from './whep-query.ts'

/** How WebRTC peers reach this server, and the lifetime of their sessions. */
export type WebRtc = {
  ice: IceSettings
  /** For clients; the server itself needs none. */
  iceServers(): readonly IceServer[]
  context: Context
}

/** `maxBodyBytes`: limit of a change of params. */
type Endpoint = WebRtc & { maxBodyBytes: number }

const MAX_SESSIONS = 1000
/** If each session takes a port, this share is reserved for publishers. */
const PUBLISHERS_SHARE = 0.1

/** Limit of viewers at once. */
function maxViewers({ sharedPort, udpPorts }: IceSettings): number {
  if (sharedPort || !udpPorts) return MAX_SESSIONS
  const ports = udpPorts[1] - udpPorts[0] + 1
  return Math.max(1, Math.min(MAX_SESSIONS, ports - Math.ceil(ports * PUBLISHERS_SHARE)))
}

/**
 * `POST /whep/{stream}`: a viewer, who may come before the publisher and then sees the overlay, or nothing in the input
 * view.
 */
export function whepEndpoint(
  registry: StreamRegistry,
  { ice, iceServers, context, maxBodyBytes }: Endpoint,
  { view: guard, controlLater }: Guards,
): SignallingOptions {
  return {
    kind: 'whep',
    maxSessions: maxViewers(ice),
    iceServers,
    guard,
    open: async ({ stream: name, offer, query, c }) => {
      const { view } = WhepQuery.parse(query)
      // An offer that cannot be answered opens no stream.
      const codecs = registry.viewerCodecs
      const codec = sentVideoCodec(negotiate(parseSdp(offer), 'send', { sendable: codecs })) ?? 'h264'
      const permit = await controlLater(c as RequestContext<{ Bindings: HttpBindings }>)
      const stream = await registry.getOrOpen(name)
      let session: WhepSession | undefined
      const leave = stream.admitViewer(view, {
        codec,
        availableKbps: () => session?.stats().availableKbps,
        sent: () => session?.stats(),
      })
      try {
        session = await openWhepSession(
          {
            offer,
            ice,
            codecs,
            reader: stream.subscribe(view, codec),
            // It may be guessable, because the packets are encrypted and authenticated.
            timestampOffset: stream.startedAt,
            channels: {
              maxMessageBytes: maxBodyBytes,
              data: () => stream.data.subscribe(),
              params: paramsService(() => stream, maxBodyBytes, permit),
            },
            requestKeyframe: () => stream.requestKeyframe(view, codec),
            playoutDelayMs: () => stream.playoutDelayMs(view, codec),
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

/** `POST /whip/{stream}`: a publisher. It is answered before its media flows, so a later failure ends the session. */
export function whipEndpoint(
  registry: StreamRegistry,
  { ice, iceServers, context, maxBodyBytes }: Endpoint,
  { control: guard }: Guards,
): SignallingOptions {
  return {
    kind: 'whip',
    iceServers,
    guard,
    open: async ({ stream: name, offer, query }) => {
      const log = context.log.child({ stream: name })
      const options = publishQuery(query)
      registry.checkPublish(name)
      const leased = Promise.withResolvers<void>()
      const answered = leased.promise
      const params = paramsService(
        () => registry.get(name),
        maxBodyBytes,
        async () => {},
      )
      const channels = { maxMessageBytes: maxBodyBytes, params }
      const hasVideo = parseSdp(offer).media.some(({ kind }) => kind === 'video')
      const audioAlone = !hasVideo && (await registry.takesAudioAlone(name, options.pipeline))
      const session = await openWhipSession(
        { offer, ice, codecs: registry.publisherCodecs, channels, answered, audioAlone },
        { ...context, log },
      )
      // The pipeline is leased before the answer, so that a publisher learns at once if its request is wrong.
      const published = registry.publish(name, {
        ...options,
        open: ({ signal }) => {
          leased.resolve()
          // A publisher that sends nothing would not notice the end of its stream.
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
