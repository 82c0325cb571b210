// State of a LiveKit room: participants, tracks, and the uniqueness of identities.
import { randomBytes } from 'node:crypto'
import type { MediaStreamTrack } from 'werift'
import { type Forwarded, Session } from './session.ts'

export type Grants = {
  identity: string
  name: string
  attributes: Record<string, string>
  video: { room: string; canPublish?: boolean; canSubscribe?: boolean; hidden?: boolean; roomList?: boolean }
}

export type Track = {
  sid: string
  type: 'AUDIO' | 'VIDEO'
  name: string
  source: string
  muted: boolean
}

export type Event =
  | 'room_started'
  | 'room_finished'
  | 'participant_joined'
  | 'participant_left'
  | 'track_published'
  | 'track_unpublished'
/** Emits a webhook event. */
export type Tell = (event: Event, room: Room, participant?: Participant, track?: Track) => void

const sid = (prefix: string) => `${prefix}_${randomBytes(6).toString('hex')}`
const WAIT_MS = 50

export class Participant {
  readonly sid = sid('PA')
  readonly grants: Grants
  readonly session: Session
  readonly tracks: (Track & { forwarded: Forwarded })[] = []

  constructor(grants: Grants, session: Session) {
    this.grants = grants
    this.session = session
  }

  get identity(): string {
    return this.grants.identity
  }

  /** As in responses and webhooks. */
  toJSON() {
    const { identity, name, attributes, video } = this.grants
    const tracks = this.tracks.map(({ forwarded: _, ...track }) => track)
    const permission = { hidden: video.hidden ?? false }
    return { sid: this.sid, identity, name, attributes, state: 'ACTIVE', permission, tracks }
  }
}

export class Room {
  /** As LiveKit is after a deadlock: what is stored is told, and nothing is carried out. */
  locked = false
  readonly sid = sid('RM')
  readonly name: string
  metadata = ''
  readonly participants = new Map<string, Participant>()
  /** Data channel messages in order of arrival. */
  readonly data: { from: string; message: string }[] = []
  readonly #tell: Tell

  constructor(name: string, tell: Tell) {
    this.name = name
    this.#tell = tell
  }

  toJSON() {
    const all = [...this.participants.values()]
    const counts = {
      num_participants: all.length,
      num_publishers: all.filter(({ tracks }) => tracks.length > 0).length,
    }
    return { sid: this.sid, name: this.name, metadata: this.metadata, ...counts }
  }

  /** Answers an offer. `names`: tracks to wait for, by publisher, as in the header of a WHIP request. */
  async join(
    grants: Grants,
    offer: string,
    names: Record<string, string[]>,
  ): Promise<{ participant: Participant; answer: string }> {
    const before = this.participants.get(grants.identity)
    // The next one joins a few milliseconds later, however long the session takes to end.
    if (before) void this.leave(before)
    const session = new Session()
    const participant = new Participant(grants, session)
    this.participants.set(grants.identity, participant)
    session.onMedia = (kind, source, needKeyframe) => this.#publish(participant, kind, source, needKeyframe)
    session.onData = (message) => this.data.push({ from: grants.identity, message })
    session.onClosed = () => void this.leave(participant)
    this.#tell('participant_joined', this, participant)
    await session.offered(offer)
    if (grants.video.canSubscribe === false) return { participant, answer: await session.answer([]) }
    // Without a limit, like LiveKit.
    while (!this.#has(names) && this.participants.get(grants.identity) === participant)
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS))
    // All tracks of the room in no useful order: the newest comes first.
    const others = [...this.participants.values()].filter((one) => one !== participant)
    const tracks = others.flatMap((one) => one.tracks.map(({ forwarded }) => forwarded)).reverse()
    return { participant, answer: await session.answer(tracks) }
  }

  async leave(participant: Participant): Promise<void> {
    if (this.participants.get(participant.identity) !== participant) return
    this.participants.delete(participant.identity)
    for (const track of participant.tracks) this.#tell('track_unpublished', this, participant, track)
    this.#tell('participant_left', this, participant)
    await participant.session.close()
  }

  #has(names: Record<string, string[]>): boolean {
    return Object.entries(names).every(([identity, wanted]) =>
      wanted.every((name) => this.participants.get(identity)?.tracks.some((track) => track.name === name)),
    )
  }

  #publish(
    participant: Participant,
    kind: 'audio' | 'video',
    source: MediaStreamTrack,
    needKeyframe: () => void,
  ): void {
    if (participant.grants.video.canPublish === false) return
    const isVideo = kind === 'video'
    const track: Track = {
      ...{ sid: sid('TR'), type: isVideo ? 'VIDEO' : 'AUDIO', muted: false },
      name: isVideo ? 'synthesized-camera' : 'synthesized-microphone',
      source: isVideo ? 'CAMERA' : 'MICROPHONE',
    }
    const forwarded = { sid: track.sid, publisher: participant.sid, kind, source, needKeyframe }
    participant.tracks.push({ ...track, forwarded })
    this.#tell('track_published', this, participant, track)
  }
}
