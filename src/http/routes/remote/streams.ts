import { randomBytes } from 'node:crypto'
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { parseExactJson } from '../../../codec/json.ts'
import { AppError } from '../../../core/errors.ts'
import type { Target, UrlGuard } from '../../../core/url-guard.ts'
import { typeOfUrl } from '../../../ffmpeg/remote/arguments.ts'
import type { LiveKitRooms } from '../../../remote/livekit/rooms.ts'
import type { Pulls } from '../../../remote/pull/pulls.ts'
import type { Pushes } from '../../../remote/push/pushes.ts'
import type { LiveStream } from '../../../stream/live-stream.ts'
import type { RemoteStreams } from '../../../stream/remote/streams.ts'
import { describedRoutes, needs, problem } from '../../openapi/describe.ts'
import { type RemoteInputSchema, RemoteStreamRequest } from '../../openapi/remote.ts'
import { Status } from '../../openapi/schemas.ts'
import { targetOf } from './outputs.ts'

type Request = Omit<z.infer<typeof RemoteStreamRequest>, 'name' | 'outputs'>
type Input = z.infer<typeof RemoteInputSchema>

export type RemoteStreamRoutes = {
  remotes: RemoteStreams
  pulls: Pulls
  pushes: Pushes
  livekit: LiveKitRooms
  guard: UrlGuard
}

const start = createRoute({
  method: 'post',
  path: '/streams',
  operationId: 'startRemoteStream',
  tags: ['In'],
  summary: 'Pull a stream from another server',
  description:
    'From a media server by RTSP, RTMP, SRT, WHEP or MPEG-TS over HTTP, or from a LiveKit room and back into it: the response ' +
    'comes when media flows, and a lost source is reconnected with growing delays until the stream is ended. Or from a ' +
    'trickle server and back to one: such a stream ends with its input.',
  security: needs.authToken,
  request: { body: { content: { 'application/json': { schema: RemoteStreamRequest } }, required: true } },
  responses: {
    201: {
      description: 'Media flows, or the channels are open.',
      content: { 'application/json': { schema: Status } },
      headers: z.object({ Location: z.string() }),
    },
    400: problem('Invalid body, or a URL that is not allowed.'),
    404: problem('No such pipeline, or no such track in the room.'),
    409: problem('The stream of that name has a publisher, or several tracks have that name.'),
    415: problem('The media has no supported video.'),
    422: problem('The params were rejected, field by field.'),
    502: problem('The input, or a channel, could not be opened.'),
    503: problem('All streams are in use.'),
    504: problem('Nothing came from the input in time.'),
  },
})

/** `POST /streams`: a stream whose media is on another server. */
export function remoteStreamRoutes({ remotes, pulls, pushes, livekit, guard }: RemoteStreamRoutes): OpenAPIHono {
  const app = describedRoutes()
  app.openapi(start, async (c) => {
    parseExactJson(await c.req.text(), 'the body', 'params')
    const { name = `stream-${randomBytes(4).toString('hex')}`, outputs = [], ...request } = c.req.valid('json')
    const type = typeOf(request)
    const targets = await Promise.all(
      outputs.map((output, at) => pushes.check(targetOf(output, ['outputs', String(at)]), `outputs.${at}.url`)),
    )
    const stream =
      type === 'trickle'
        ? await fromTrickle(name, request, { remotes, guard })
        : type === 'livekit'
          ? await fromLiveKit(name, request, livekit)
          : await pulled(name, type, request, pulls)
    for (const target of targets) pushes.begin(name, target)
    // Relative to this route, because a proxy may strip a path prefix.
    c.header('location', `streams/${name}`)
    return c.json(stream.status() as z.infer<typeof Status>, 201)
  })
  return app
}

function typeOf({ input, subscribeUrl, ...more }: Request): NonNullable<Input['type']> {
  if ((input === undefined) === (subscribeUrl === undefined)) {
    throw wrong('input', 'must name what is pulled, or `subscribeUrl` a trickle channel, and not both')
  }
  const type = input ? (input.type ?? typeOfUrl(input.url ?? '')) : 'trickle'
  if (!type)
    throw wrong(
      'input.type',
      'must be mpegts, trickle, whep, rtsp, rtmp, srt or livekit; only rtsp://, rtmp:// and srt:// say it',
    )
  checkFields(type, input)
  if (type === 'trickle') return type
  const only = (['publishUrl', 'controlUrl', 'eventsUrl'] as const).find((field) => more[field] !== undefined)
  if (only) throw wrong(only, 'goes with a trickle input only')
  return type
}

/** LiveKit inputs are named by room and track, all others by a URL. */
function checkFields(type: NonNullable<Input['type']>, input: Input | undefined): void {
  if (!input) return
  const [needed, foreign] =
    type === 'livekit'
      ? ([
          ['room', 'track'],
          ['url', 'token', 'transport'],
        ] as const)
      : ([['url'], ['room', 'track', 'participant']] as const)
  const lacking = needed.find((field) => input[field] === undefined)
  if (lacking) throw wrong(`input.${lacking}`, `is needed for ${type}`)
  const odd = foreign.find((field) => input[field] !== undefined)
  if (odd) throw wrong(`input.${odd}`, type === 'livekit' ? 'goes with other types only' : 'goes with livekit only')
}

async function fromLiveKit(
  name: string,
  { input, pipeline, params, program }: Request,
  livekit: LiveKitRooms,
): Promise<LiveStream> {
  if (program !== undefined) throw wrong('program', 'goes with MPEG-TS only')
  const { room, track, participant } = input!
  return await livekit.begin({
    ...{ name, room: room!, track: track! },
    ...(participant !== undefined && { participant }),
    ...(pipeline !== undefined && { pipeline }),
    ...(params && { params }),
  })
}

async function pulled(
  name: string,
  type: Exclude<Input['type'], 'trickle' | 'livekit' | undefined>,
  { input, pipeline, params, program }: Request,
  pulls: Pulls,
): Promise<LiveStream> {
  const { url, token, transport } = input!
  const pull = await pulls.begin(
    {
      name,
      input: {
        ...{ type, url: url! },
        ...(token !== undefined && { token }),
        ...(transport !== undefined && { transport }),
        ...(program !== undefined && { program }),
      },
      ...(pipeline !== undefined && { pipeline }),
      ...(params && { params }),
    },
    'input.url',
  )
  return await pull.started
}

async function fromTrickle(
  name: string,
  { input, pipeline, params, program, ...urls }: Request,
  { remotes, guard }: Pick<RemoteStreamRoutes, 'remotes' | 'guard'>,
): Promise<LiveStream> {
  const check = async (field: keyof typeof urls): Promise<Target | undefined> =>
    urls[field] === undefined ? undefined : await guard.check(urls[field], field)
  const subscribe = input ? await guard.check(input.url!, 'input.url') : await check('subscribeUrl')
  const [publish, control, events] = await Promise.all([check('publishUrl'), check('controlUrl'), check('eventsUrl')])
  const headers = input?.token === undefined ? {} : { headers: { authorization: `Bearer ${input.token}` } }
  const remote = remotes.begin({
    name,
    channels: {
      subscribe: { ...subscribe!, ...headers },
      ...(publish && { publish }),
      ...(control && { control }),
      ...(events && { events }),
    },
    ...(pipeline !== undefined && { pipeline }),
    ...(program !== undefined && { program }),
    ...(params && { params }),
  })
  await remote.started
  return remote.stream
}

function wrong(field: string, message: string): AppError {
  return new AppError('invalid-request', `${field} ${message}`, { issues: [{ path: field.split('.'), message }] })
}
