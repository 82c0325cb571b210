import type { z } from '@hono/zod-openapi'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { parseExactJson, parseJsonObject } from '../../codec/json.ts'
import { AppError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { networkSessionOf, withChannels } from '../orchestrator/network-session.ts'
import type { Registration } from '../orchestrator/registration.ts'
import { bothWays } from '../paths.ts'
import { InnerStart, OuterStart, SessionStart, startRequest } from '../start-request.ts'
import { detailResponse, jsonDetail, lineOf, numberDetail, textResponse, validationDetail } from './error-shapes.ts'
import type { LivepeerRunner } from './runner.ts'
import type { LivepeerSession } from './session.ts'

export type RunnerRoutesOptions = {
  runner: LivepeerRunner
  /** The only accepted `model_id`. */
  pipeline: string
  /** Set if this server is registered with an orchestrator. */
  registration(): Registration | undefined
  /** Lets a request pass, or throws `unauthorized`. */
  guard: MiddlewareHandler
  log: Log
}

/** The orchestrator fills in its own. */
const STARTED = { subscribe_url: '', publish_url: '', control_url: '', events_url: '', request_id: '', manifest_id: '' }

/** The runner's own API, outer (contract §3.2) and inner (§3.3): start a stream, its params, its status. */
export function runnerRoutes(options: RunnerRoutesOptions): Hono {
  const { runner, pipeline, guard, log } = options
  const app = new Hono()

  const outer = (answer: (c: Context) => Promise<Response>) => async (c: Context) => {
    try {
      await guard(c, async () => {})
      return await answer(c)
    } catch (thrown) {
      return detailResponse(c, noted(thrown))
    }
  }
  const inner = (what: string, answer: (c: Context) => Promise<Response>) => async (c: Context) => {
    try {
      await guard(c, async () => {})
      return await answer(c)
    } catch (thrown) {
      return textResponse(c, what, noted(thrown))
    }
  }
  const noted = (thrown: unknown): AppError => {
    const error = AppError.from(thrown)
    if (error.code === 'internal') log.error({ err: error }, 'livepeer request failed')
    else log.warn({ code: error.code, reason: lineOf(error) }, 'livepeer request refused')
    return error
  }

  const startOuter = outer(async (c) => {
    const receivedAt = Date.now()
    const registration = options.registration()
    const network = registration && networkSessionOf((name) => c.req.header(name))
    const body = await readBody(c, network ? SessionStart : OuterStart)
    if (body instanceof Response) return body
    if (body.model_id !== '' && body.model_id !== pipeline) {
      throw new AppError('invalid-request', `model_id is "${body.model_id}"; this runner runs "${pipeline}"`)
    }
    const request = startRequest(body)
    if (!registration || !network) {
      await runner.start(request, receivedAt)
      return c.json(STARTED)
    }
    const named = request.subscribeUrl !== ''
    const channels = named ? undefined : await withChannels(registration, network, request)
    let session: LivepeerSession | undefined
    try {
      session = await runner.start(channels?.request ?? request, receivedAt)
      registration.hold(network, session)
    } catch (thrown) {
      await session?.close()
      await channels?.remove().catch((err) => log.warn({ err }, 'could not remove channels'))
      throw thrown
    }
    return c.json({ ...STARTED, ...channels?.urls, ...(channels && { manifest_id: network.id }) })
  })

  const startInner = inner('Error starting stream', async (c) => {
    const receivedAt = Date.now()
    requireJson(c)
    const { success, data, error } = InnerStart.safeParse(parseExactJson(await c.req.text(), 'the body', 'params'))
    if (!success) throw new AppError('invalid-request', fieldsOf(error))
    await runner.start(startRequest(data), receivedAt)
    return c.text('Stream started successfully')
  })

  const updateParams = inner('Error updating params', async (c) => {
    const merge = requireJson(c) === 'application/merge-patch+json'
    const value = parseJsonObject(await c.req.text(), 'the body')
    const mode = merge ? 'merge' : 'replace'
    await runner.updateParams(mode, value, c.req.query('stream'))
    return c.text('Params updated successfully')
  })

  const status = inner('Error reading status', async (c) => c.json(runner.status(c.req.query('stream'))))

  app.on('POST', bothWays('/live-video-to-video'), startOuter)
  app.on('POST', bothWays('/api/live-video-to-video'), startInner)
  app.on('POST', bothWays('/api/params'), updateParams)
  app.on('GET', bothWays('/api/status'), status)
  return app
}

/** The body, or a 422 that says what is wrong with it. */
async function readBody<T extends z.ZodType>(c: Context, schema: T): Promise<z.output<T> | Response> {
  const text = await c.req.text()
  let body: unknown
  try {
    body = parseExactJson(text, 'the body', 'params')
  } catch (thrown) {
    const error = AppError.from(thrown)
    return c.json({ detail: error.issues ? numberDetail(error.issues) : jsonDetail(error.cause ?? error) }, 422)
  }
  const { success, data, error } = schema.safeParse(body)
  return success ? data : c.json({ detail: validationDetail(error, body) }, 422)
}

/** The body's type, which must be JSON. */
function requireJson(c: Context): string {
  const type = c.req.header('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type === 'application/json' || type === 'application/merge-patch+json') return type
  throw new AppError('invalid-request', `the content type must be application/json, not "${type}"`)
}

function fieldsOf(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ')
}
