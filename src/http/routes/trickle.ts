import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import type { Log } from '../../core/log.ts'
import { checkStreamName, type StreamRegistry } from '../../stream/registry.ts'
import { openTrickleIngest } from '../../trickle/ingest.ts'
import type { TrickleHooks } from '../../trickle/server/options.ts'
import type { TrickleServer } from '../../trickle/server/server.ts'
import { publishQuery } from './ingest-query.ts'

const MOUNT = '/trickle'
/** A channel may be created well before its first segment. */
const FIRST_SEGMENT_MS = 60_000

/** Trickle answers in its own way (headers with the first byte, `100 Continue` while waiting), so it gets the socket. */
export function trickleRoutes(trickle: TrickleServer): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  app.all(`${MOUNT}/*`, (c) => {
    const { incoming, outgoing } = c.env
    const path = (incoming.url ?? '').split('?', 1)[0] ?? ''
    trickle.handle(incoming, outgoing, path.slice(MOUNT.length))
    return RESPONSE_ALREADY_SENT
  })
  return app
}

/** A channel that a publisher creates is a stream of that name, unless it carries JSON. */
export function trickleHooks(registry: () => StreamRegistry, log: Log): TrickleHooks {
  return {
    beforeCreate: (request, name, mime) => {
      checkStreamName(name)
      if (isJson(mime)) return
      publishQuery(queryOf(request.url))
      registry().checkPublish(name)
    },
    onChannel: (channel, request) => {
      if (isJson(channel.mime)) return
      const published = registry().publish(channel.name, {
        ...publishQuery(queryOf(request.url)),
        open: (context) => openTrickleIngest({ from: { channel }, openTimeoutMs: FIRST_SEGMENT_MS }, context),
      })
      published
        .then((publication) => publication.closed)
        .catch((err) => log.warn({ err, stream: channel.name }, 'trickle publisher refused'))
        .finally(() => channel.close())
    },
  }
}

function isJson(mime: string): boolean {
  return /json/i.test(mime)
}

function queryOf(url: string | undefined): Record<string, string> {
  return Object.fromEntries(new URL(url ?? '/', 'http://localhost').searchParams)
}
