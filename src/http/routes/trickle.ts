import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import { AppError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { checkStreamName, type StreamRegistry } from '../../stream/registry.ts'
import { openTrickleIngest } from '../../trickle/ingest.ts'
import type { TrickleHooks } from '../../trickle/server/options.ts'
import type { TrickleServer } from '../../trickle/server/server.ts'
import { errorOf } from '../status.ts'
import { programQuery, publishQuery } from './ingest-query.ts'

const MOUNT = '/trickle'
/** A channel may be created well before its first segment. */
const FIRST_SEGMENT_MS = 60_000
/**
 * Importing torch takes longer, but publishers are answered before that, because some wait for an answer with their
 * next segment.
 */
const ADMISSION_MS = 5000

/**
 * Trickle has its own way of answering (headers with the first byte, `100 Continue` while waiting), so it gets the
 * socket.
 */
export function trickleRoutes(trickle: TrickleServer): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  app.all(`${MOUNT}/*`, (c) => {
    const { incoming, outgoing } = c.env
    // Hono matched the decoded path of a possibly absolute URL (RFC 9112 §3.2.2); names stay encoded here.
    const [, , ...below] = new URL(c.req.url).pathname.split('/')
    trickle.handle(incoming, outgoing, `/${below.join('/')}`)
    return RESPONSE_ALREADY_SENT
  })
  return app
}

/** A channel that a publisher creates becomes a stream of that name, unless it carries JSON. */
export function trickleHooks(registry: () => StreamRegistry, log: Log): TrickleHooks {
  return {
    beforeCreate: (request, name, mime) => {
      checkStreamName(name)
      if (isJson(mime)) return
      readQuery(request.url, publishQuery)
      readQuery(request.url, programQuery)
      registry().checkPublish(name)
    },
    onChannel: (channel, request) => {
      if (isJson(channel.mime)) return undefined
      const program = readQuery(request.url, programQuery)
      const admitted = Promise.withResolvers<void>()
      const published = registry().publish(channel.name, {
        ...readQuery(request.url, publishQuery),
        open: (context, wants) => {
          admitted.resolve()
          return openTrickleIngest(
            { from: { channel }, openTimeoutMs: FIRST_SEGMENT_MS, ...wants, ...program },
            context,
          )
        },
      })
      published
        .then((publication) => publication.closed)
        .then(({ error }) => channel.close(error))
        .catch((err) => {
          log.warn({ err, stream: channel.name }, 'trickle publisher refused')
          channel.close(AppError.from(err))
        })
        .finally(admitted.resolve)
      const patience = setTimeout(admitted.resolve, ADMISSION_MS)
      return admitted.promise.finally(() => clearTimeout(patience))
    },
  }
}

function isJson(mime: string): boolean {
  return /json/i.test(mime)
}

/** @throws AppError `invalid-request`, which the trickle server can report. */
function readQuery<T>(url: string | undefined, read: (query: Record<string, string>) => T): T {
  try {
    return read(Object.fromEntries(new URL(url ?? '/', 'http://localhost').searchParams))
  } catch (thrown) {
    throw errorOf(thrown)
  }
}
