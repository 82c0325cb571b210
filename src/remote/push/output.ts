import type { Reader } from '../../core/broadcast.ts'
import { AppError } from '../../core/errors.ts'
import type { EgressSink } from '../../core/media/endpoints.ts'
import type { Context } from '../../core/resource.ts'
import { originOf, type UrlGuard } from '../../core/url-guard.ts'
import type { FfmpegProgram } from '../../ffmpeg/binary.ts'
import { checkRemoteUrl, REMOTE_SCHEMES, type RemoteKind } from '../../ffmpeg/remote/arguments.ts'
import { openRemoteEgress } from '../../ffmpeg/remote/egress.ts'
import { openTricklePublisher } from '../../trickle/client/publisher.ts'
import { openTrickleEgress } from '../../trickle/egress.ts'
import { openWhipSink } from '../../webrtc/client/whip-sink.ts'
import type { DataFeed } from '../../webrtc/data/feed.ts'
import type { IceSettings } from '../../webrtc/ice/agent.ts'

/** What a target needs of a stream besides its packets. */
export type OutputNeeds = {
  requestKeyframe(): void
  /** Whether it has audio, as far as is known. */
  hasAudio(): boolean
  /** The pipeline's messages from now on. */
  data(): DataFeed
}

/** A target that can be opened repeatedly. */
export interface Output {
  readonly type: string
  /** Scheme, host and port. */
  readonly to: string
  /** Longest pause between two attempts. */
  readonly maxPauseMs?: number
  /**
   * Resolves when the target accepts what `reader` reads; the reader ends with it. Rejects with `conflict` if retrying
   * is useless.
   */
  open(reader: Reader, needs: OutputNeeds, context: Context): Promise<EgressSink>
}

/** A push target. */
export type PushTarget = {
  type: RemoteKind | 'trickle' | 'whip'
  url: string
  /** Bearer token for HTTP protocols. */
  token?: string
  /** Sends a silent track while the stream has no audio; RTMP only. */
  silence?: boolean
}

export type OutputDeps = {
  guard: UrlGuard
  ffmpeg: FfmpegProgram
  ice: IceSettings
  /** Time limit until a target accepts the stream. */
  openTimeoutMs: number
  /** A target that takes nothing for this long counts as lost. */
  stallMs: number
}

/** A media server; its name is resolved and checked again for each attempt. */
export class RemoteOutput implements Output {
  readonly type: PushTarget['type']
  /** Scheme, host and port. */
  readonly to: string
  readonly #target: PushTarget
  readonly #deps: OutputDeps

  private constructor(target: PushTarget, deps: OutputDeps) {
    this.type = target.type
    this.to = originOf(new URL(target.url))
    this.#target = target
    this.#deps = deps
  }

  /** @throws AppError `invalid-request` for a URL that may not be contacted; `field` names it. */
  static async check(target: PushTarget, field: string, deps: OutputDeps): Promise<RemoteOutput> {
    const { type, url } = target
    if (type === 'trickle' || type === 'whip') await deps.guard.check(url, field, type === 'whip' ? 'media' : type)
    else checkRemoteUrl(type, (await deps.guard.checkMedia(url, field, REMOTE_SCHEMES[type])).url, field)
    return new RemoteOutput(target, deps)
  }

  /** Rejects as the protocols' sinks do. */
  async open(reader: Reader, { requestKeyframe, hasAudio }: OutputNeeds, context: Context): Promise<EgressSink> {
    const { type, url, token, silence = false } = this.#target
    const { guard, ffmpeg, ice, openTimeoutMs, stallMs } = this.#deps
    try {
      if (type === 'trickle') {
        const headers = token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }
        const to = {
          ...(await guard.check(url, 'the URL')),
          ...headers,
          role: 'the output channel',
          mime: 'video/mp2t',
        }
        return await openTrickleEgress(
          { reader, to: { publication: await openTricklePublisher(to, context) } },
          context,
        )
      }
      if (type === 'whip') {
        const target = await guard.check(url, 'the URL', 'media')
        const endpoint = { target, ice, ...(token !== undefined && { token }) }
        const reaches = (address: string) => guard.reaches(url, address)
        return await openWhipSink({ ...endpoint, reaches, reader, requestKeyframe }, context)
      }
      const target = await guard.checkMedia(url, 'the URL', REMOTE_SCHEMES[type])
      const limits = { openTimeoutMs, stallMs }
      return await openRemoteEgress({ kind: type, target, ffmpeg, silence, reader, hasAudio, ...limits }, context)
    } catch (thrown) {
      reader.end()
      throw AppError.from(thrown)
    }
  }
}
