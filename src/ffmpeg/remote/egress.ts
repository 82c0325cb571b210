import type { Reader } from '../../core/broadcast.ts'
import { AppError } from '../../core/errors.ts'
import type { EgressSink, EgressStats } from '../../core/media/endpoints.ts'
import { type Closed, type Context, deadline, Scope } from '../../core/resource.ts'
import { type MediaTarget, originOf } from '../../core/url-guard.ts'
import { tsRuns } from '../../mpegts/runs.ts'
import type { FfmpegProgram } from '../binary.ts'
import { TsFed } from '../ts-fed.ts'
import { needsRelay, type RemoteKind, remoteArguments } from './arguments.ts'
import { Relay } from './relay.ts'
import { Said } from './said.ts'

export type RemoteEgressOptions = {
  kind: RemoteKind
  target: MediaTarget
  ffmpeg: FfmpegProgram
  /** Sends a silent track if the stream has no audio, for services that refuse video alone. */
  silence?: boolean
  /** H.264 and Opus; ended with the egress, also when that cannot be opened. */
  reader: Reader
  /** Whether the stream is known to have audio, whose first packet may be late. */
  hasAudio(): boolean
  /** Time limit until the server accepts the stream, from the first frame on. */
  openTimeoutMs: number
  /** A server that takes nothing for this long counts as lost. */
  stallMs: number
}

/** Printed once the server has accepted the stream. */
const TAKEN = /\[info\] Output #0/
/** Time for ffmpeg to finish when the stream ends. */
const FINISH_MS = 2000

/**
 * Sends a stream to a media server, with an ffmpeg that copies the video; RTMP and SRT get audio as AAC, RTSP as Opus.
 * Resolves when the server accepts it. Rejects with `peer-failed` and the message of the server or ffmpeg, without the
 * URL's secrets, or with `timeout`. Packets that the server does not take in time wait in the reader, and are dropped
 * there.
 */
export async function openRemoteEgress(options: RemoteEgressOptions, context: Context): Promise<EgressSink> {
  const egress = new RemoteEgress(options, context)
  await egress.taken
  return egress
}

type Sending = {
  fed: TsFed
  said: Said
  relay: Relay | undefined
  /** It was told to exit. */
  finishing?: true
}

class RemoteEgress implements EgressSink {
  readonly closed: Promise<Closed>
  /** Settles when the server has accepted the stream; rejects with the reason if it does not. */
  readonly taken: Promise<void>
  readonly #options: RemoteEgressOptions
  readonly #scope: Scope
  readonly #server: string
  readonly #taken = Promise.withResolvers<void>()
  #sending: Sending | undefined
  #bytes = 0

  constructor(options: RemoteEgressOptions, context: Context) {
    const { target } = options
    this.#options = options
    this.#server = originOf(target.url)
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.taken = this.#taken.promise
    this.#scope.defer(() => this.#endSending())
    this.#scope.signal.addEventListener('abort', () => this.#leave(), { once: true })
    this.#scope.spawn(() => this.#send())
    void this.closed.then(({ error }) =>
      this.#taken.reject(error ?? new AppError('peer-failed', 'the output was ended before it began')),
    )
    this.taken.catch(() => {})
  }

  stats(): EgressStats {
    return { bytes: this.#bytes, dropped: this.#options.reader.dropped }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #send(): Promise<Closed> {
    for await (const { bytes, begins, audio } of tsRuns(this.#options.reader, this.#options.hasAudio)) {
      if (begins) await this.#begin(audio)
      const { fed } = this.#sending!
      // The reason is known once all output was read.
      if (fed.exit) await fed.closed
      if (fed.exit) throw this.#failure()
      fed.write(bytes)
      this.#bytes += bytes.length
      await this.#drained(fed)
    }
    await this.#finish()
    return { why: 'ended' }
  }

  async #begin(audio: boolean): Promise<void> {
    const { kind, target, ffmpeg, openTimeoutMs, silence } = this.#options
    await this.#finish()
    await this.#endSending()
    const relay = needsRelay(kind) ? await Relay.open(target) : undefined
    try {
      const remote = remoteArguments(kind, target, relay?.host ?? '')
      const said = new Said(remote.secrets)
      const fed = await TsFed.open({
        ffmpeg: ffmpeg.path,
        options: ['-loglevel', 'level+info', '-analyzeduration', '1000000', '-fpsprobesize', '0'],
        output: [
          ...(silence && !audio ? SILENT : AUDIBLE),
          ...FORMS[kind],
          ...remote.options.filter(forOutput),
          remote.url,
        ],
        onLine: (line) => {
          said.push(line)
          if (TAKEN.test(line)) this.#taken.resolve()
        },
      })
      this.#sending = { fed, said, relay }
    } catch (thrown) {
      await relay?.[Symbol.asyncDispose]()
      throw thrown
    }
    const { fed } = this.#sending
    // Its exit is noticed, whether something is written to it or not.
    void fed.closed.then(() => {
      if (this.#sending?.fed === fed && !this.#sending.finishing && !this.#scope.reason) this.#fail(this.#failure())
    })
    const late = `${this.#server} did not take the stream within ${openTimeoutMs / 1000} s`
    void deadline(this.taken, openTimeoutMs, late).catch((thrown) => {
      if (AppError.from(thrown).code === 'timeout') this.#fail(new AppError('timeout', late, { retryable: true }))
    })
  }

  async #drained(fed: TsFed): Promise<void> {
    if (!fed.full) return
    const { stallMs } = this.#options
    const stalled = `${this.#server} has taken nothing for ${stallMs / 1000} s`
    const timer = setTimeout(() => this.#fail(new AppError('timeout', stalled, { retryable: true })), stallMs)
    await fed.drained().finally(() => clearTimeout(timer))
  }

  /** The remaining data is still sent, if the server takes it. */
  #leave(): void {
    this.#options.reader.end()
    const patience = this.#scope.reason?.error ? 0 : FINISH_MS
    const timer = setTimeout(() => void this.#sending?.fed.close(), patience)
    void this.closed.then(() => clearTimeout(timer))
  }

  #fail(error: AppError): void {
    this.#scope.end({ why: 'failed', error })
  }

  #failure(): AppError {
    const { relay, said } = this.#sending!
    if (relay?.failure) return said.withoutSecrets(relay.failure)
    return said.error(`${this.#server} does not take the stream`)
  }

  /** Lets ffmpeg send what it still holds. */
  async #finish(): Promise<void> {
    const sending = this.#sending
    if (!sending) return
    sending.finishing = true
    await sending.fed.finish(FINISH_MS, 'the end of the output').catch(() => {})
  }

  async #endSending(): Promise<void> {
    const sending = this.#sending
    this.#sending = undefined
    await sending?.fed.close()
    await sending?.relay?.[Symbol.asyncDispose]()
  }
}

const AUDIBLE = ['-map', '0:v:0', '-map', '0:a:0?']
/** A second input, which ends with the first. */
const SILENT = [
  ...['-f', 'lavfi', '-i', 'anullsrc=sample_rate=48000:channel_layout=stereo'],
  ...['-map', '0:v:0', '-map', '1:a:0', '-shortest'],
]
const VIDEO = ['-c:v', 'copy']
const AAC = ['-c:a', 'aac', '-b:a', '128k', '-ar', '48000']
const AT_ONCE = ['-flush_packets', '1', '-max_interleave_delta', '100000']

const FORMS: Record<RemoteKind, readonly string[]> = {
  rtmp: [...VIDEO, ...AAC, ...AT_ONCE, '-flvflags', 'no_duration_filesize', '-f', 'flv'],
  srt: [...VIDEO, ...AAC, ...AT_ONCE, '-muxdelay', '0', '-muxpreload', '0', '-pes_payload_size', '0', '-f', 'mpegts'],
  rtsp: [...VIDEO, '-c:a', 'copy', ...AT_ONCE, '-f', 'rtsp'],
}

/** The whitelist option applies to inputs only. */
const forOutput = (option: string, at: number, all: string[]): boolean =>
  option !== '-protocol_whitelist' && all[at - 1] !== '-protocol_whitelist'
