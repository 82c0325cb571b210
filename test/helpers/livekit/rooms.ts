import type { PushStatus } from '../../../src/remote/push/push.ts'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { http, httpJson } from '../server/http.ts'
import { waitFor } from '../wait.ts'
import type { Participant } from './room.ts'
import type { LiveKitServer } from './server.ts'

/** Actions of a test in the rooms of a LiveKit, with a server's streams as publishers. */
export class TestRooms {
  readonly #livekit: LiveKitServer
  /** URL of the server that has the streams. */
  readonly #source: string

  constructor(livekit: LiveKitServer, source: string) {
    this.#livekit = livekit
    this.#source = source
  }

  /** Publishes a stream as a participant; returns a function that ends it. */
  async publish(
    room: string,
    stream: string,
    { metadata = '', identity = 'alice' } = {},
  ): Promise<() => Promise<unknown>> {
    this.#livekit.room(room).metadata = metadata
    const outputs = `${this.#source}/streams/${stream}/outputs`
    const token = await this.#livekit.token(identity, { room })
    const body = { type: 'whip', url: `${this.#livekit.url}/whip/v1`, token }
    const { json } = await httpJson<PushStatus>('POST', outputs, { body })
    await waitFor(`${identity} in ${room}`, () => this.#tracks(room, identity).some(({ type }) => type === 'VIDEO'))
    return () => http('DELETE', `${outputs}/${json.id}`)
  }

  /** The participant with the processor's identity and a processed track. */
  processor(room: string): Participant | undefined {
    return this.#tracks(room, 'millrace').some(({ type }) => type === 'VIDEO')
      ? this.#livekit.rooms.get(room)?.participants.get('millrace')
      : undefined
  }

  async processed(room: string, not?: Participant): Promise<Participant> {
    return await waitFor(`a processed track in ${room}`, () => {
      const found = this.processor(room)
      return found === not ? undefined : found
    })
  }

  /** How often the processor has joined. */
  joins(room: string): number {
    const { events } = this.#livekit
    return events.filter(
      (one) => one.event === 'participant_joined' && one.room === room && one.participant === 'millrace',
    ).length
  }

  #tracks(room: string, identity: string) {
    return this.#livekit.rooms.get(room)?.participants.get(identity)?.tracks ?? []
  }
}

/** The servers that run that stream. */
export async function holdersOf(stream: string, servers: readonly { url: string }[]): Promise<string[]> {
  const answers = await Promise.all(
    servers.map(async ({ url }) => {
      const answer = await http('GET', `${url}/streams/${stream}`, { limitMs: 2000 }).catch(() => undefined)
      return answer?.status === 200 ? [url] : []
    }),
  )
  return answers.flat()
}

export const statusOf = (url: string, stream: string) => httpJson<StreamStatus>('GET', `${url}/streams/${stream}`)
