/** A track in a room, as LiveKit reports it. */
export type RoomTrack = {
  sid: string
  kind: 'audio' | 'video' | 'data'
  name: string
  /** `CAMERA`, `SCREEN_SHARE` and so on. */
  source: string
}

export type Participant = { identity: string; sid: string; tracks: RoomTrack[] }

export type Room = {
  name: string
  /** Free text of the room's creator; often JSON. */
  metadata: string
  publishers: number
}

export type RoomState = { room: Room; participants: Participant[] }

/** The dispatcher's queries to LiveKit. */
export type Rooms = {
  list(signal?: AbortSignal): Promise<Room[]>
  /** Undefined if there is no such room. */
  look(room: string, signal?: AbortSignal): Promise<RoomState | undefined>
}

/** Identity of processed tracks. LiveKit permits one participant with it per room, which is the lock. */
export const PROCESSOR = 'millrace'

/** The participant with the processed track, as far as LiveKit has noticed: it may have died. */
export function processorOf({ participants }: RoomState): Participant | undefined {
  return participants.find(
    ({ identity, tracks }) => identity === PROCESSOR && tracks.some(({ kind }) => kind === 'video'),
  )
}
