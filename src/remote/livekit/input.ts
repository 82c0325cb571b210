// One track of a LiveKit room, subscribed to over WHIP. LiveKit subscribes such a session to every track of the room,
// in any order, which cannot be turned off. So the offer has a section for each of them; only those of the wanted track
// are read, and the others are unsubscribed.
import { randomBytes } from 'node:crypto'
import { attributeValues, type Sdp, type SdpMedia } from '../../codec/sdp/session.ts'
import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { IngestSource } from '../../core/media/endpoints.ts'
import { type Context, sleep } from '../../core/resource.ts'
import { openWhepSource } from '../../webrtc/client/whep-source.ts'
import type { IceSettings } from '../../webrtc/ice/agent.ts'
import type { Input } from '../pull/input.ts'
import type { LiveKit, LiveKitParticipant } from './room-service.ts'
import { joinToken } from './tokens.ts'
import { countOf, type FoundTrack, findAgain, findTrack, IDENTITY, type TrackWish } from './tracks.ts'

/** A track that LiveKit has announced may not be in its store yet. */
const FIRST_LOOK_MS = 5000
const LOOK_EVERY_MS = 250
const MUTED_LOOK_MS = 1000
/** Sections of each kind: a session description has at most 64. */
const MAX_SECTIONS = 28
/** One extra section for a track that is published meanwhile. */
const SPARE = 1
const TRIES = 3
/** LiveKit reports every second and answers our checks. */
export const SILENCE_MS = 6000

export type LiveKitInputOptions = TrackWish & {
  room: string
  livekit: LiveKit
  ice: IceSettings
  /** How long a track may be missing: its publisher may reload the page, and a room may move to another node. */
  goneMs: number
}

export class LiveKitInput implements Input {
  readonly type = 'livekit'
  readonly stallMs = 2000
  readonly maxPauseMs = 2000
  readonly #options: LiveKitInputOptions
  #known: FoundTrack | undefined
  #missingSince: number | undefined

  constructor(options: LiveKitInputOptions) {
    this.#options = options
  }

  get from(): string {
    return this.#options.livekit.origin
  }

  /** The track that was found last. */
  get found(): FoundTrack | undefined {
    return this.#known
  }

  /**
   * Rejects with `not-found` if the track does not exist any more; with `conflict` if several match; and as WHEP does.
   */
  async open(context: Context): Promise<IngestSource> {
    for (let tries = 1; ; tries++) {
      const { found, participants } = await this.#find(context.signal)
      try {
        return await this.#subscribe(found, participants, tries < TRIES, context)
      } catch (thrown) {
        const isWrongAnswer = thrown instanceof AppError && thrown.details?.lacks !== undefined
        if (!isWrongAnswer || tries >= TRIES) throw thrown
      }
    }
  }

  async #find(signal: AbortSignal | undefined): Promise<{ found: FoundTrack; participants: LiveKitParticipant[] }> {
    const { livekit, room, track, goneMs } = this.#options
    const isFirst = this.#missingSince === undefined && !this.#known
    const until = nowMs() + FIRST_LOOK_MS
    for (;;) {
      const participants = await livekit.participants(room)
      const found = this.#known ? findAgain(participants, this.#known) : findTrack(participants, this.#options)
      if (found) {
        this.#known = found
        this.#missingSince = undefined
        if (!found.video.muted) return { found, participants }
        // The first caller waits for a result.
        if (isFirst && nowMs() >= until)
          throw new AppError('timeout', `the track "${track}" is muted`, { retryable: true })
        await sleep(MUTED_LOOK_MS, signal)
        continue
      }
      this.#missingSince ??= nowMs()
      if (nowMs() >= until) {
        const message = `the room "${room}" has no video track "${track}"`
        const isGone = !this.#known || nowMs() - this.#missingSince >= goneMs
        throw new AppError(isGone ? 'not-found' : 'peer-failed', message, { retryable: true })
      }
      await sleep(LOOK_EVERY_MS, signal)
    }
  }

  async #subscribe(
    found: FoundTrack,
    participants: readonly LiveKitParticipant[],
    strictly: boolean,
    context: Context,
  ): Promise<IngestSource> {
    const { livekit, room, ice } = this.#options
    const { video, audio } = found
    const identity = `${IDENTITY}-input-${randomBytes(6).toString('hex')}`
    const token = await joinToken(livekit.config, {
      room,
      identity,
      canPublish: false,
      canSubscribe: true,
      hidden: true,
    })
    const wanted = audio ? [video.sid, audio.sid] : [video.sid]
    const names = audio ? [video.name, audio.name] : [video.name]
    const sectionsFor = (type: 'VIDEO' | 'AUDIO') => Math.min(MAX_SECTIONS, countOf(participants, type) + SPARE)
    let others: string[] = []
    const source = await livekit.withNode(() =>
      openWhepSource(
        {
          ...{ target: livekit.target('/whip/v1'), token, ice, silenceMs: SILENCE_MS },
          // Without it the answer may come before the subscription. Names must be ASCII or escaped there.
          headers: {
            'x-livekit-clientinfo': ascii({ subscribedParticipantTrackNames: { [found.participant]: names } }),
          },
          // The operator has named the server, and media goes to the addresses it gives.
          reaches: () => true,
          sections: { video: sectionsFor('VIDEO'), audio: sectionsFor('AUDIO') },
          choose: (answer) => {
            const sids = answer.media.flatMap(trackOf)
            others = sids.filter((sid) => !wanted.includes(sid))
            const lacks = (strictly ? wanted : [video.sid]).filter((sid) => !sids.includes(sid))
            if (lacks.length === 0) return only(answer, wanted)
            throw new AppError('peer-failed', 'the answer has other tracks only', { details: { lacks } })
          },
        },
        context,
        'livekit',
      ),
    )
    if (others.length > 0) {
      const failed = (err: unknown) => context.log.warn({ err, tracks: others.length }, 'tracks stay subscribed to')
      livekit.unsubscribe(room, identity, others).catch(failed)
    }
    return source
  }
}

/** The SID of the track in a section: LiveKit puts it in the second half of `msid`. */
function trackOf(section: SdpMedia): string[] {
  return attributeValues(section, 'msid').flatMap((value) => value.split(' ')[1] ?? [])
}

function only(answer: Sdp, wanted: readonly string[]): Sdp {
  const isWanted = (section: SdpMedia) => trackOf(section).some((sid) => wanted.includes(sid))
  return { ...answer, media: answer.media.map((one) => (isWanted(one) ? one : { ...one, port: 0 })) }
}

/** JSON escaped for a header. */
function ascii(value: unknown): string {
  return JSON.stringify(value).replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
