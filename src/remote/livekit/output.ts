// The processed track, published back into its room over WHIP. Its identity is the lock: LiveKit permits one
// participant with it, and a new one disconnects the previous one.
import type { Reader } from '../../core/broadcast.ts'
import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { EgressSink } from '../../core/media/endpoints.ts'
import { type Context, sleep } from '../../core/resource.ts'
import { openWhipSink } from '../../webrtc/client/whip-sink.ts'
import type { IceSettings } from '../../webrtc/ice/agent.ts'
import type { Output, OutputNeeds } from '../push/output.ts'
import { SILENCE_MS } from './input.ts'
import type { LiveKit } from './room-service.ts'
import { joinToken } from './tokens.ts'
import { IDENTITY } from './tracks.ts'

const LOOK_EVERY_MS = 250
/** Viewers see nothing new meanwhile if the previous server is dead. */
const READY_EVERY_MS = 10
/** LiveKit asks a publisher for a keyframe every half second at most, however many viewers wait for one. */
const GREET_MS = 1500
const GREET_EVERY_MS = 100
const AUDIO_EVERY_MS = 1000
/** Publishing may lock the room up; by then it is over. */
const CHECK_AFTER_MS = 3000
/**
 * LiveKit's store briefly forgets an identity when it changes hands, because a leaving participant is deleted by name.
 */
const SETTLED_MS = 1500

export type LiveKitOutputOptions = {
  room: string
  livekit: LiveKit
  ice: IceSettings
  /** Visible to everybody in the room. */
  attributes(): Record<string, string>
  /** Whether the pipeline's frames can be sent. */
  ready(): boolean
  /** Whether its source has an audio track, muted or not, or its pipeline gives audio. */
  hasAudio(): boolean
  /** Called when it goes on or off the air, with the SID of its last participant. */
  onAir(is: boolean, sid: string | undefined): void
  /** Somebody else now publishes under the identity. */
  onSuperseded(): void
}

export class LiveKitOutput implements Output {
  readonly type = 'livekit'
  readonly maxPauseMs = 2000
  readonly #options: LiveKitOutputOptions
  /** The sid of our last participant. */
  #sid: string | undefined

  constructor(options: LiveKitOutputOptions) {
    this.#options = options
  }

  get to(): string {
    return this.#options.livekit.origin
  }

  /** Rejects with `conflict` if another server has taken over since the last time, and as WHIP does. */
  async open(reader: Reader, { requestKeyframe, data }: OutputNeeds, context: Context): Promise<EgressSink> {
    const { livekit, room, ice, attributes } = this.#options
    try {
      await (this.#sid === undefined ? this.#waitForTurn(context.signal) : this.#checkOurs(this.#sid, context.signal))
      const grant = { room, identity: IDENTITY, canPublish: true, canSubscribe: false, attributes: attributes() }
      const token = await joinToken(livekit.config, grant)
      const audio = this.#options.hasAudio()
      const options = {
        ...{ token, ice, reader, requestKeyframe, data },
        ...{ silenceMs: SILENCE_MS, reaches: () => true, sections: { audio: audio ? 1 : 0 } },
      }
      // A reader serves one attempt; the next one tries the next node.
      const open = () => openWhipSink({ ...options, target: livekit.target('/whip/v1') }, context)
      const sink = await livekit.withNode(open, 1)
      this.#sid = sink.resource?.split('/').at(-1)
      this.#options.onAir(true, this.#sid)
      void sink.closed.then(() => this.#options.onAir(false, this.#sid))
      void this.#greet(sink, requestKeyframe)
      if (!audio) void this.#awaitAudio(sink, context)
      void this.#checkRoom(sink, context)
      return sink
    } catch (thrown) {
      reader.end()
      throw AppError.from(thrown)
    }
  }

  /** A working server is not interrupted by one that cannot work yet. */
  async #waitForTurn(signal: AbortSignal | undefined): Promise<void> {
    const { ready } = this.#options
    while (!ready() && (await this.#holder()) !== undefined) {
      const until = nowMs() + LOOK_EVERY_MS
      while (!ready() && nowMs() < until) await sleep(READY_EVERY_MS, signal)
    }
  }

  /** Viewers subscribe after the track is published, each at its own time, and begin with a keyframe. */
  async #greet({ closed }: EgressSink, requestKeyframe: () => void): Promise<void> {
    const until = nowMs() + GREET_MS
    while (nowMs() < until && !(await Promise.race([closed, sleep(GREET_EVERY_MS)]))) requestKeyframe()
  }

  /** Tells the operator why viewers see nothing, although LiveKit and this server look healthy. */
  async #checkRoom({ closed }: EgressSink, { log }: Context): Promise<void> {
    const { livekit, room } = this.#options
    if (await Promise.race([closed, sleep(CHECK_AFTER_MS)])) return
    await livekit.probe(room, IDENTITY).catch((err) => {
      log.error({ err, room }, 'LiveKit carries nothing out in the room: it may have locked up, see docs/livekit.md')
    })
  }

  /** Publishes again when there is audio: a session cannot get another track. */
  async #awaitAudio(sink: EgressSink, { log }: Context): Promise<void> {
    while (!(await Promise.race([sink.closed, sleep(AUDIO_EVERY_MS)]))) {
      if (!this.#options.hasAudio()) continue
      log.info('the source has audio now, so the output is published again')
      await sink.close()
    }
  }

  async #checkOurs(sid: string, signal: AbortSignal | undefined): Promise<void> {
    const until = nowMs() + SETTLED_MS
    for (;;) {
      const holder = await this.#holder()
      if (holder !== undefined && holder !== sid) {
        this.#options.onSuperseded()
        throw new AppError('conflict', `another server publishes as "${IDENTITY}" in the room now`)
      }
      if (nowMs() >= until) return
      await sleep(LOOK_EVERY_MS, signal)
    }
  }

  async #holder(): Promise<string | undefined> {
    const { livekit, room } = this.#options
    return (await livekit.participants(room)).find(({ identity }) => identity === IDENTITY)?.sid
  }
}
