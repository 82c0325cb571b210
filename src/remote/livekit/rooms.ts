import { AppError } from '../../core/errors.ts'
import type { Context } from '../../core/resource.ts'
import type { LiveStream } from '../../stream/live-stream.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import type { IceSettings } from '../../webrtc/ice/agent.ts'
import type { Pulls } from '../pull/pulls.ts'
import type { Pushes } from '../push/pushes.ts'
import { LiveKitInput } from './input.ts'
import { LiveKitOutput } from './output.ts'
import { LiveKit } from './room-service.ts'
import type { LiveKitConfig } from './tokens.ts'
import type { TrackWish } from './tracks.ts'

export type LiveKitRoomsOptions = {
  /** Undefined if not configured. */
  config: LiveKitConfig | undefined
  ice: IceSettings
  /** See `LiveKitInputOptions`. */
  goneMs: number
  registry: StreamRegistry
  pulls: Pulls
  pushes: Pushes
}

export type LiveKitRequest = TrackWish & {
  name: string
  room: string
  pipeline?: string
  params?: Record<string, unknown>
}

/** State of a room's stream. */
export type RoomStream = {
  stream: LiveStream
  room: string
  /** Identity of the track's publisher. */
  participant: string
  /** As requested. */
  track: string
  /** Whether the processed track is in the room. */
  onAir: boolean
  /** SID of the participant as which it is or was last in the room. */
  sid: string | undefined
}

/** Streams that are pulled from LiveKit rooms and published back into them. */
export class LiveKitRooms {
  readonly #options: LiveKitRoomsOptions
  readonly #livekit: LiveKit | undefined
  readonly #context: Pick<Context, 'log'>
  readonly #running = new Set<RoomStream>()
  readonly #starting = new Map<string, LiveKitRequest & { askedAt: number }>()
  /** Called when a stream begins, goes on or off the air, or ends. */
  onChange: () => void = () => {}

  constructor(options: LiveKitRoomsOptions, { log }: Pick<Context, 'log'>) {
    this.#options = options
    this.#livekit = options.config && new LiveKit(options.config)
    this.#context = { log }
  }

  get running(): RoomStream[] {
    return [...this.#running]
  }

  /** Requested streams without media yet. Each takes a place. */
  get starting(): (LiveKitRequest & { askedAt: number })[] {
    return [...this.#starting.values()]
  }

  /**
   * Resolves when the track flows. The output is published at once or, if another server publishes in the room, when
   * the pipeline outputs frames; from then on the room is this server's, and the stream ends when another one takes
   * over.
   * @throws AppError `invalid-request` without settings, `not-found`, `conflict`, `capacity`; errors of the input or
   * pipeline.
   */
  async begin(request: LiveKitRequest): Promise<LiveStream> {
    const livekit = this.#livekit
    if (!livekit) {
      const message = 'the server has no LiveKit: its operator sets LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET'
      throw new AppError('invalid-request', message)
    }
    const { name } = request
    if (this.#starting.has(name)) throw new AppError('conflict', `the stream "${name}" is starting already`)
    // A start takes a second, so a second caller gets the conflict at once.
    this.#options.registry.checkPublish(name, this.#starting.size)
    this.#starting.set(name, { ...request, askedAt: Date.now() })
    this.onChange()
    try {
      return await this.#begin(livekit, request)
    } finally {
      this.#starting.delete(name)
      this.onChange()
    }
  }

  async #begin(livekit: LiveKit, { name, room, track, participant, ...wishes }: LiveKitRequest): Promise<LiveStream> {
    const { ice, goneMs, pulls, pushes } = this.#options
    const input = new LiveKitInput({
      room,
      track,
      ...(participant !== undefined && { participant }),
      livekit,
      ice,
      goneMs,
    })
    const stream = await pulls.pull({ name, input, ...wishes }).started
    const { log } = this.#context
    const participantOf = () => input.found?.participant ?? ''
    const known: RoomStream = { stream, room, track, participant: participantOf(), onAir: false, sid: undefined }
    this.#running.add(known)
    void stream.closed.then(() => {
      this.#running.delete(known)
      this.onChange()
    })
    const output = new LiveKitOutput({
      ...{ room, livekit, ice },
      attributes: () => ({
        'millrace.stream': name,
        'millrace.track': input.found?.video.sid ?? '',
        'millrace.participant': participantOf(),
      }),
      ready: () => stream.processed,
      hasAudio: () => input.found?.audio !== undefined || stream.status().audio.mode === 'give',
      onAir: (is, sid) => {
        known.onAir = is
        known.sid = sid
        this.onChange()
      },
      onSuperseded: () => {
        log.info({ stream: name }, 'another server has taken over the room')
        void stream.close()
      },
    })
    pushes.begin(name, output)
    this.onChange()
    return stream
  }
}
