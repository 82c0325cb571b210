// LiveKit's RoomService: Twirp (twitchtv.github.io/twirp/docs/spec_v7.html) with JSON bodies, with protobuf's field
// names.
import { SignJWT } from 'jose'
import { z } from 'zod'
import { AppError } from '../../core/errors.ts'
import type { Participant, Room, RoomState, Rooms } from './rooms.ts'
import type { WebhookKey } from './webhook.ts'

export type RoomApiOptions = WebhookKey & {
  /** http or https URLs of its nodes: each knows all rooms, so the next is asked if one does not answer. */
  urls: readonly string[]
}

/** A stopped node must not delay a takeover. */
const ANSWER_MS = 2000
const TOKEN_SECONDS = 600

const RoomList = z.object({
  rooms: z
    .array(
      z.object({
        name: z.string(),
        metadata: z.string().default(''),
        num_publishers: z.number().optional(),
        numPublishers: z.number().optional(),
      }),
    )
    .default([]),
})
const Participants = z.object({
  participants: z
    .array(
      z.object({
        identity: z.string().default(''),
        sid: z.string().default(''),
        tracks: z
          .array(
            z.object({
              sid: z.string().default(''),
              // Protobuf omits the first value of an enumeration.
              type: z.string().default('AUDIO'),
              name: z.string().default(''),
              source: z.string().default('UNKNOWN'),
            }),
          )
          .default([]),
      }),
    )
    .default([]),
})

/** Reads LiveKit's rooms through its API. */
export class RoomApi implements Rooms {
  readonly #options: RoomApiOptions
  #at = 0

  constructor(options: RoomApiOptions) {
    this.#options = options
  }

  async list(signal?: AbortSignal): Promise<Room[]> {
    return await this.#rooms([], signal)
  }

  async look(room: string, signal?: AbortSignal): Promise<RoomState | undefined> {
    const [rooms, participants] = await Promise.all([this.#rooms([room], signal), this.#participants(room, signal)])
    const found = rooms.find(({ name }) => name === room)
    return found && { room: found, participants }
  }

  async #rooms(names: string[], signal: AbortSignal | undefined): Promise<Room[]> {
    const { rooms } = RoomList.parse((await this.#call('ListRooms', { names }, { roomList: true }, signal)) ?? {})
    return rooms.map(({ name, metadata, num_publishers, numPublishers }) => ({
      name,
      metadata,
      publishers: num_publishers ?? numPublishers ?? 0,
    }))
  }

  async #participants(room: string, signal: AbortSignal | undefined): Promise<Participant[]> {
    const answer = await this.#call('ListParticipants', { room }, { roomAdmin: true, room }, signal)
    return Participants.parse(answer ?? {}).participants.map(({ tracks, ...who }) => ({
      ...who,
      tracks: tracks.map(({ type, ...track }) => ({ ...track, kind: kindOf(type) })),
    }))
  }

  /** Null if there is no such room. */
  async #call(method: string, body: object, video: object, signal: AbortSignal | undefined): Promise<unknown> {
    const { apiKey, apiSecret, urls } = this.#options
    const token = await new SignJWT({ video })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(apiKey)
      .setIssuedAt()
      .setExpirationTime(`${TOKEN_SECONDS}s`)
      .sign(new TextEncoder().encode(apiSecret))
    for (let tries = 1; ; tries++) {
      const node = this.#at
      try {
        return await this.#ask(`${urls[node]}/twirp/livekit.RoomService/${method}`, body, token, signal)
      } catch (thrown) {
        signal?.throwIfAborted()
        const error = AppError.from(thrown)
        if (!error.retryable) throw error
        if (this.#at === node) this.#at = (node + 1) % urls.length
        if (tries >= urls.length) throw error
      }
    }
  }

  async #ask(url: string, body: object, token: string, signal: AbortSignal | undefined): Promise<unknown> {
    const limit = AbortSignal.timeout(ANSWER_MS)
    let status: number
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        redirect: 'manual',
        signal: signal ? AbortSignal.any([limit, signal]) : limit,
      })
      if (response.ok) return await response.json()
      await response.body?.cancel()
      status = response.status
    } catch (cause) {
      throw new AppError('peer-failed', `LiveKit does not answer at ${url}`, { cause, retryable: true })
    }
    if (status === 404) return null
    const hint = status === 401 || status === 403 ? '; check LIVEKIT_API_KEY and LIVEKIT_API_SECRET' : ''
    throw new AppError('peer-failed', `LiveKit answers ${status} at ${url}${hint}`, { retryable: status >= 500 })
  }
}

function kindOf(type: string): 'audio' | 'video' | 'data' {
  return type === 'VIDEO' ? 'video' : type === 'DATA' ? 'data' : 'audio'
}
