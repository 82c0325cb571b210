// The used part of LiveKit's server API: RoomService, by Twirp with JSON.
import { z } from 'zod'
import { AppError } from '../../core/errors.ts'
import type { Target } from '../../core/url-guard.ts'
import { askServer } from '../../webrtc/client/http-request.ts'
import { adminToken, type LiveKitConfig } from './tokens.ts'

const ASK_MS = 5000

// Values at their defaults may be left out.
const Track = z.object({
  sid: z.string(),
  type: z.string().default('AUDIO'),
  name: z.string().default(''),
  source: z.string().default('UNKNOWN'),
  muted: z.boolean().default(false),
})
const Participant = z.object({
  sid: z.string(),
  identity: z.string().default(''),
  attributes: z.record(z.string(), z.string()).default({}),
  tracks: z.array(Track).default([]),
})
const Participants = z.object({ participants: z.array(Participant).default([]) })

export type LiveKitTrack = z.output<typeof Track>
export type LiveKitParticipant = z.output<typeof Participant>

/** The nodes of one LiveKit deployment. Any node serves any room, so a failing one is skipped. */
export class LiveKit {
  readonly config: LiveKitConfig
  #at = 0

  constructor(config: LiveKitConfig) {
    this.config = config
  }

  /** The node that is asked first: the last one that worked. */
  get origin(): string {
    return this.config.urls[this.#at]!
  }

  target(path: string): Target {
    return { url: `${this.origin}${path}`, rejectUnauthorized: true }
  }

  /** Calls `act` with one node after the other until one is reachable and answers in time. */
  async withNode<T>(act: () => Promise<T>, maxTries = this.config.urls.length): Promise<T> {
    const { urls } = this.config
    for (let tries = 1; ; tries++) {
      try {
        return await act()
      } catch (thrown) {
        const error = AppError.from(thrown)
        if (!['peer-failed', 'timeout'].includes(error.code) || !error.retryable) throw error
        this.#at = (this.#at + 1) % urls.length
        if (tries >= maxTries) throw error
      }
    }
  }

  /** Empty if there is no such room. LiveKit's store may lag a moment behind. */
  async participants(room: string): Promise<LiveKitParticipant[]> {
    const answer = await this.#ask('ListParticipants', room, {})
    return answer === undefined ? [] : parse(Participants, answer).participants
  }

  async unsubscribe(room: string, identity: string, trackSids: readonly string[]): Promise<void> {
    await this.#ask('UpdateSubscriptions', room, { identity, track_sids: trackSids, subscribe: false })
  }

  /** Rejects if the node that has the room carries nothing out, although its store answers. */
  async probe(room: string, identity: string): Promise<void> {
    await this.unsubscribe(room, identity, [])
  }

  /** Undefined if the requested thing does not exist. */
  async #ask(method: string, room: string, more: Record<string, unknown>): Promise<unknown> {
    return await this.withNode(async () => {
      const { status, text } = await askServer(this.target(`/twirp/livekit.RoomService/${method}`), {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${await adminToken(this.config, room)}`,
        },
        body: JSON.stringify({ room, ...more }),
        timeoutMs: ASK_MS,
      })
      if (status === 404) return undefined
      if (status === 200) return parse(z.unknown(), text)
      const why = status === 401 ? ' (LIVEKIT_API_KEY, LIVEKIT_API_SECRET)' : ''
      const message = `${this.origin} answers ${method} with status ${status}${why}`
      throw new AppError('peer-failed', message, { retryable: status >= 500 })
    })
  }
}

function parse<T>(schema: z.ZodType<T>, text: unknown): T {
  try {
    return schema.parse(typeof text === 'string' ? JSON.parse(text) : text)
  } catch (cause) {
    throw new AppError('peer-failed', "LiveKit's answer is not of the expected form", { cause })
  }
}
