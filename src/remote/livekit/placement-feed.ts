import { nowMs } from '../../core/clock.ts'
import { type Closed, type Context, type Resource, Scope } from '../../core/resource.ts'
import type { LiveStream } from '../../stream/live-stream.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import type { Placement, Placements } from '../../stream/remote/placements.ts'
import type { Pushes } from '../push/pushes.ts'
import type { LiveKitRooms, RoomStream } from './rooms.ts'

const LOOK_MS = 100
/** A listener that hears nothing for several times this long considers the server dead. */
const HEARTBEAT_MS = 300
/** Stalled: frames come in, and none has gone out for this long. */
const STALLED_MS = 2000
/** Frames count as coming in while the newest is no older than this. */
const FLOWING_MS = 1000
const MAX_PARAMS_CHARS = 16_384

export type PlacementFeedOptions = { registry: StreamRegistry; rooms: LiveKitRooms; pushes: Pushes }

type Listener = (line: string) => void

/** Reports this server's placements to dispatchers: all of them at each change, and a heartbeat in between. */
export class PlacementFeed implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: PlacementFeedOptions
  readonly #scope: Scope
  readonly #listeners = new Set<Listener>()
  readonly #aired = new WeakSet<LiveStream>()
  readonly #sent = new WeakMap<LiveStream, { bytes: number; movedAt: number }>()
  #timer: NodeJS.Timeout | undefined
  #told = ''
  #toldAt = 0

  constructor(options: PlacementFeedOptions, context: Context) {
    this.#options = options
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#scope.defer(() => clearInterval(this.#timer))
    options.rooms.onChange = () => this.#look()
  }

  /** Streams that a listener would start elsewhere when this server drains. */
  get handed(): LiveStream[] {
    return this.#listeners.size > 0 ? this.#options.rooms.running.map(({ stream }) => stream) : []
  }

  /** Aborts when nothing more will be reported. */
  get ending(): AbortSignal {
    return this.#scope.signal
  }

  /** Calls `listener`, first with the current state, until the returned function is called. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener)
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS)
    listener(JSON.stringify(this.state()))
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  state(): Placements {
    const { registry, rooms } = this.#options
    const { draining, maxStreams, running } = registry
    const { starting } = rooms
    return {
      draining,
      free: draining ? 0 : Math.max(0, maxStreams - running.length - starting.length),
      streams: [
        ...rooms.running.map((one) => this.#placementOf(one)),
        ...starting.map(({ name, room, track, participant = '', pipeline = '', askedAt }) => ({
          ...{
            stream: name,
            room,
            participant,
            track,
            startedAt: askedAt,
            onAir: false,
            aired: false,
            stalled: false,
            pipeline,
          },
        })),
      ],
    }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #look(): void {
    if (this.#listeners.size === 0) return
    const line = JSON.stringify(this.state())
    const isNews = line !== this.#told
    if (!isNews && nowMs() - this.#toldAt < HEARTBEAT_MS) return
    this.#told = line
    this.#toldAt = nowMs()
    for (const listener of this.#listeners) listener(isNews ? line : '{}')
  }

  #placementOf({ stream, room, participant, track, onAir, sid }: RoomStream): Placement {
    const { pipeline, params } = stream.params
    if (onAir) this.#aired.add(stream)
    const isShort = params !== undefined && JSON.stringify(params).length <= MAX_PARAMS_CHARS
    return {
      ...{ stream: stream.name, room, participant, track, startedAt: stream.startedAt, onAir },
      ...{ aired: this.#aired.has(stream), stalled: onAir && this.#isStalled(stream), pipeline },
      ...(sid && { sid }),
      ...(isShort && { params }),
    }
  }

  #isStalled(stream: LiveStream): boolean {
    const now = nowMs()
    const output = this.#options.pushes.of(stream.name).find(({ type }) => type === 'livekit')
    const before = this.#sent.get(stream)
    if (!output || !before || output.bytes !== before.bytes) {
      this.#sent.set(stream, { bytes: output?.bytes ?? 0, movedAt: now })
      return false
    }
    const flows = Date.now() - (stream.lastInputAt ?? 0) < FLOWING_MS
    if (!flows) before.movedAt = now
    return now - before.movedAt >= STALLED_MS
  }
}
