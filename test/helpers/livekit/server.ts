// A stand-in for LiveKit's server, based on its documentation and on release 1.13.5: WHIP, the used part of
// RoomService, and webhooks. One node, H.264 and Opus, no TURN.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { jwtVerify, SignJWT } from 'jose'
import type { LiveKitConfig } from '../../../src/remote/livekit/tokens.ts'
import { type Event, type Grants, Room, type Tell } from './room.ts'

export type LiveKitOptions = {
  /** Default: a free one. */
  port?: number
  /** Receivers of events; default none. */
  webhookUrls?: readonly string[]
}

const MAX_BODY_BYTES = 1024 * 1024
const KEY = 'APItest'
const SECRET = 'secret-of-the-stand-in-of-livekit'

export class LiveKitServer implements AsyncDisposable {
  readonly apiKey = KEY
  readonly apiSecret = SECRET
  readonly rooms = new Map<string, Room>()
  /** Every event in order, delivered or not. */
  readonly events: { event: Event; room: string; participant: string; track: string }[] = []
  /** Reasons of refused requests. */
  readonly refusals: string[] = []
  webhookUrls: readonly string[]
  readonly #server = createServer((request, response) => void this.#handle(request, response))
  #told: Promise<unknown> = Promise.resolve()

  private constructor({ webhookUrls = [] }: LiveKitOptions) {
    this.webhookUrls = webhookUrls
  }

  static async start(options: LiveKitOptions = {}): Promise<LiveKitServer> {
    const livekit = new LiveKitServer(options)
    livekit.#server.listen(options.port ?? 0, '127.0.0.1')
    await once(livekit.#server, 'listening')
    return livekit
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get config(): LiveKitConfig {
    return { urls: [this.url], apiKey: KEY, apiSecret: SECRET }
  }

  /** Environment of a server that uses it. */
  get env(): Record<string, string> {
    return { LIVEKIT_URL: this.url, LIVEKIT_API_KEY: KEY, LIVEKIT_API_SECRET: SECRET }
  }

  /** A participant's token. */
  async token(identity: string, video: Grants['video']): Promise<string> {
    const claims = { sub: identity, name: identity, video: { roomJoin: true, ...video } }
    return await sign(claims)
  }

  room(name: string): Room {
    const known = this.rooms.get(name)
    if (known) return known
    const room = new Room(name, this.#tell)
    this.rooms.set(name, room)
    this.#tell('room_started', room)
    return room
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const participants = [...this.rooms.values()].flatMap((room) => [...room.participants.values()])
    await Promise.all(participants.map((one) => one.session.close()))
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
    await this.#told
  }

  readonly #tell: Tell = (event, room, participant, track) => {
    const names = { participant: participant?.identity ?? '', track: track?.sid ?? '' }
    this.events.push({ event, room: room.name, ...names })
    // Webhooks about a track contain only these fields of room and participant.
    const { sid, name } = room
    const who = participant && { sid: participant.sid, identity: participant.identity }
    const about = track
      ? { room: { sid, name }, participant: who, track: { ...track, forwarded: undefined } }
      : { room, participant }
    const body = JSON.stringify({
      ...{ event, ...about, id: `EV_${this.events.length}` },
      createdAt: String(Math.floor(Date.now() / 1000)),
    })
    for (const url of this.webhookUrls) this.#told = this.#told.then(() => post(url, body)).catch(() => {})
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = (status: number, body: unknown = {}, headers: Record<string, string> = {}) => {
      if (status >= 400) this.refusals.push(`${request.method} ${request.url}: ${status} ${JSON.stringify(body)}`)
      response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))
    }
    try {
      const grants = await grantsOf(request)
      const body = await textOf(request)
      const [, first, second, third] = new URL(request.url ?? '/', this.url).pathname.split('/')
      if (first === 'twirp' && second === 'livekit.RoomService') answer(200, this.#api(String(third), grants, body))
      else if (first !== 'whip' || second !== 'v1') answer(404)
      else if (request.method === 'POST') await this.#whip(request, grants, body, answer)
      else if (request.method === 'DELETE') {
        const room = this.rooms.get(grants.video.room)
        const participant = room && [...room.participants.values()].find((one) => one.sid === third)
        if (participant) await room.leave(participant)
        answer(participant ? 200 : 404)
      } else answer(405)
    } catch (thrown) {
      answer(thrown instanceof Refusal ? thrown.status : 500, { error: String(thrown) })
    }
  }

  async #whip(request: IncomingMessage, grants: Grants, offer: string, answer: Answer): Promise<void> {
    if (request.headers['content-type'] !== 'application/sdp') throw new Refusal(400, 'unsupported content-type')
    if (!offer.startsWith('v=0')) throw new Refusal(400, 'body does not have SDP offer')
    if (!grants.identity || !grants.video.room) throw new Refusal(401, 'neither identity nor room may be empty')
    const header = request.headers['x-livekit-clientinfo']
    const info = header
      ? (JSON.parse(String(header)) as { subscribedParticipantTrackNames?: Record<string, string[]> })
      : {}
    const joined = await this.room(grants.video.room).join(grants, offer, info.subscribedParticipantTrackNames ?? {})
    const location = `/whip/v1/${joined.participant.sid}`
    answer(201, joined.answer, { 'content-type': 'application/sdp', location })
  }

  #api(method: string, grants: Grants & { admin: boolean }, body: string): unknown {
    const asked = JSON.parse(body) as Asked
    if (method === 'ListRooms') {
      if (!grants.video.roomList) throw new Refusal(401, 'permissions denied')
      const all = [...this.rooms.values()]
      return { rooms: asked.names?.length ? all.filter(({ name }) => asked.names?.includes(name)) : all }
    }
    if (!grants.admin || grants.video.room !== asked.room) throw new Refusal(401, 'permissions denied')
    const room = this.rooms.get(asked.room)
    if (method === 'ListParticipants') return { participants: [...(room?.participants.values() ?? [])] }
    const participant = room?.participants.get(asked.identity ?? '')
    if (!room || !participant) throw new Refusal(404, 'participant does not exist')
    if (room.locked) throw new Refusal(503, 'no response from servers')
    if (method === 'RemoveParticipant') void room.leave(participant)
    else if (method !== 'UpdateSubscriptions') throw new Refusal(404, `no such method: ${method}`)
    else if (!asked.subscribe) participant.session.stop(asked.track_sids ?? [])
    return {}
  }
}

type Answer = (status: number, body?: unknown, headers?: Record<string, string>) => void

type Asked = { names?: string[]; room?: string; identity?: string; track_sids?: string[]; subscribe?: boolean }

class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

async function grantsOf(request: IncomingMessage): Promise<Grants & { admin: boolean }> {
  const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
  if (!token) throw new Refusal(401, 'no token')
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(SECRET), { issuer: KEY, algorithms: ['HS256'] })
    const { video, attributes, name } = payload as {
      video?: Grants['video'] & { roomAdmin?: boolean }
    } & Partial<Grants>
    const identity = payload.sub ?? ''
    const admin = video?.roomAdmin === true
    return { identity, name: name ?? '', attributes: attributes ?? {}, video: video ?? { room: '' }, admin }
  } catch (thrown) {
    throw new Refusal(401, `invalid token: ${thrown}`)
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk
    if (text.length > MAX_BODY_BYTES) throw new Refusal(413, 'too long')
  }
  return text
}

function sign(claims: Record<string, unknown>): Promise<string> {
  const jwt = new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setIssuer(KEY).setExpirationTime('10m')
  return jwt.sign(new TextEncoder().encode(SECRET))
}

/** LiveKit signs the hash of the body: `Authorization` is a token with the claim `sha256`, in base64. */
async function post(url: string, body: string): Promise<void> {
  const authorization = await sign({ sha256: createHash('sha256').update(body).digest('base64') })
  const headers = { authorization, 'content-type': 'application/webhook+json' }
  await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(5000) })
}
