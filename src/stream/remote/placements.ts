/** A stream carried by LiveKit, as its server reports it to a dispatcher. */
export type Placement = {
  stream: string
  room: string
  /** Identity of the publisher whose track is processed. */
  participant: string
  /** Name of the track, or its sid if it has no name. */
  track: string
  /** Milliseconds since 1970. */
  startedAt: number
  /** True while the processed track is in the room. */
  onAir: boolean
  /** True once it was in the room. */
  aired: boolean
  /** SID of the participant as which it is or was last in the room; undefined before. */
  sid?: string
  /** True if frames come in and none has gone out for two seconds. */
  stalled: boolean
  pipeline: string
  /** Params in effect; left out if they are long. */
  params?: Record<string, unknown>
}

/** What a server reports to dispatchers on each change. */
export type Placements = {
  /** True from SIGTERM on: its streams should move to other servers. */
  draining: boolean
  /** Number of streams that it can take now. */
  free: number
  streams: Placement[]
}
