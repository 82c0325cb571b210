import type { IngestSource } from '../../core/media/endpoints.ts'
import type { Context } from '../../core/resource.ts'
import { originOf, type UrlGuard } from '../../core/url-guard.ts'
import type { FfmpegProgram } from '../../ffmpeg/binary.ts'
import { checkRemoteUrl, REMOTE_SCHEMES, type RemoteKind, type RtspTransport } from '../../ffmpeg/remote/arguments.ts'
import { openRemoteSource } from '../../ffmpeg/remote/source.ts'
import { openHttpTsSource } from '../../mpegts/http-source.ts'
import { openWhepSource } from '../../webrtc/client/whep-source.ts'
import type { IceSettings } from '../../webrtc/ice/agent.ts'

/** A pull source that can be opened repeatedly. */
export interface Input {
  /** As in requests: `rtsp`, `whep` and so on. */
  readonly type: string
  /** Scheme, host and port. */
  readonly from: string
  /** Silence that counts as a loss, in ms; default: the server's setting. */
  readonly stallMs?: number
  /** Longest pause between two attempts. */
  readonly maxPauseMs?: number
  /** Rejects with `not-found` if there will never be media again. */
  open(context: Context): Promise<IngestSource>
}

/** Source of a pull. */
export type PullInput = {
  type: RemoteKind | 'mpegts' | 'whep'
  url: string
  /** Bearer token for HTTP protocols. */
  token?: string
  /** RTSP only. */
  transport?: RtspTransport
  /** Number of the MPEG-TS program to read. */
  program?: number
}

export type InputDeps = { guard: UrlGuard; ffmpeg: FfmpegProgram; ice: IceSettings; openTimeoutMs: number }

/** A media server; its name is resolved and checked again for each attempt. */
export class RemoteInput implements Input {
  readonly type: PullInput['type']
  /** Scheme, host and port. */
  readonly from: string
  readonly #input: PullInput
  readonly #deps: InputDeps

  private constructor(input: PullInput, deps: InputDeps) {
    this.type = input.type
    this.from = originOf(new URL(input.url))
    this.#input = input
    this.#deps = deps
  }

  /** @throws AppError `invalid-request` for a URL that may not be contacted; `field` names it. */
  static async check(input: PullInput, field: string, deps: InputDeps): Promise<RemoteInput> {
    const { type, url } = input
    if (type === 'mpegts' || type === 'whep') await deps.guard.check(url, field, 'media')
    else checkRemoteUrl(type, (await deps.guard.checkMedia(url, field, REMOTE_SCHEMES[type])).url, field)
    return new RemoteInput(input, deps)
  }

  /** Rejects as the protocols' sources do. */
  async open(context: Context): Promise<IngestSource> {
    const { type, url, token, transport, program } = this.#input
    const { guard, ffmpeg, ice, openTimeoutMs } = this.#deps
    const which = program === undefined ? {} : { program }
    if (type === 'mpegts') {
      const target = await guard.check(url, 'the URL', 'media')
      return await openHttpTsSource({ target, openTimeoutMs, ...which, ...(token !== undefined && { token }) }, context)
    }
    if (type === 'whep') {
      const target = await guard.check(url, 'the URL', 'media')
      const reaches = (address: string) => guard.reaches(url, address)
      return await openWhepSource({ target, ice, reaches, ...(token !== undefined && { token }) }, context)
    }
    const target = await guard.checkMedia(url, 'the URL', REMOTE_SCHEMES[type])
    const way = transport ? { transport } : {}
    return await openRemoteSource({ kind: type, target, ffmpeg, openTimeoutMs, ...way, ...which }, context)
  }
}
