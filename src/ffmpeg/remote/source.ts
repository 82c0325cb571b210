import { Child, TailBuffer } from '../../core/child.ts'
import { AppError } from '../../core/errors.ts'
import type { IngestKind, IngestSource, IngestStats, MissingMedia } from '../../core/media/endpoints.ts'
import type { EncodedPacket, Track } from '../../core/media/packet.ts'
import { type Closed, type Context, deadline, Scope, sleep } from '../../core/resource.ts'
import { type MediaTarget, originOf } from '../../core/url-guard.ts'
import { openTsSource } from '../../mpegts/source.ts'
import type { FfmpegProgram } from '../binary.ts'
import { needsRelay, type RemoteKind, type RtspTransport, remoteArguments } from './arguments.ts'
import { DecodeOrder, EARLY_DECODING } from './decode-order.ts'
import { Relay } from './relay.ts'
import { RtspTap } from './rtsp-tap.ts'
import { Said } from './said.ts'

export type RemoteSourceOptions = {
  kind: RemoteKind
  target: MediaTarget
  ffmpeg: FfmpegProgram
  /** Transport of RTSP packets; default TCP. */
  transport?: RtspTransport
  /** Time limit until the tracks are known. */
  openTimeoutMs: number
  /** Number of the MPEG-TS program to read; default: the first readable one. */
  program?: number
}

/** ffmpeg's message for audio that MPEG-TS cannot carry, such as the G.711 of cameras. */
const UNREADABLE_AUDIO = /is muxed as a private data stream/
/** ffmpeg exits by itself once the server has closed the connection. */
const EXIT_MS = 1000

/**
 * Reads from a media server with an ffmpeg that copies. SRT carries MPEG-TS, which is passed on unchanged; others are
 * remuxed to MPEG-TS. The packets of an RTSP connection are read by `RtspTap` if it can, and ffmpeg is only the client.
 * Rejects with `peer-failed` and the message of the server or ffmpeg, without the URL's secrets; with `timeout` and
 * `unsupported-media` like `openTsSource`.
 */
export async function openRemoteSource(options: RemoteSourceOptions, context: Context): Promise<IngestSource> {
  const copying = await RemoteSource.open(options, 'copy', context)
  return copying ?? (await RemoteSource.open(options, 'encode', context))!
}

class RemoteSource implements IngestSource {
  readonly kind: IngestKind
  readonly closed: Promise<Closed>
  readonly packets: AsyncIterable<EncodedPacket>
  readonly #source: IngestSource

  private constructor(source: IngestSource, closed: Promise<Closed>) {
    this.#source = source
    this.kind = source.kind
    this.packets = source.kind === 'rtsp' ? inDecodeOrder(source.packets) : source.packets
    this.closed = closed
  }

  /** Undefined if the audio cannot be copied. */
  static async open(
    options: RemoteSourceOptions,
    audio: 'copy' | 'encode',
    context: Context,
  ): Promise<RemoteSource | undefined> {
    const { kind, target, ffmpeg, transport, program } = options
    const server = originOf(target.url)
    const scope = new Scope(context.signal)
    try {
      const tap = kind === 'rtsp' && transport !== 'udp' ? new RtspTap() : undefined
      const relay = needsRelay(kind) ? scope.use(await Relay.open(target, tap)) : undefined
      const remote = remoteArguments(kind, target, relay?.host ?? '', transport)
      const unreadable = Promise.withResolvers<undefined>()
      const said = new Said(remote.secrets)
      const args = [...COMMON, ...remote.options, ...inputArgs(kind, remote.url), ...outputArgs(kind, audio, ffmpeg)]
      const child = await Child.spawn({ command: ffmpeg.path, args, stdio: ['ignore', 'pipe', 'pipe'], graceMs: 1000 })
      scope.use(child)
      const silent = new Promise<void>((resolve) => child.process.stderr?.once('close', resolve))
      const lines = new TailBuffer()
      child.process.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
        for (const line of lines.push(chunk)) {
          said.push(line)
          if (audio === 'copy' && UNREADABLE_AUDIO.test(line)) unreadable.resolve(undefined)
        }
      })
      /** Why it ended by itself; undefined while ffmpeg runs. */
      const reason = async (what: string): Promise<AppError | undefined> => {
        await deadline(Promise.all([child.closed, silent]), EXIT_MS, 'the end of ffmpeg').catch(() => {})
        if (relay?.failure) return said.withoutSecrets(relay.failure)
        return child.exit && said.error(`${server} ${what}`)
      }
      const inside = { signal: scope.signal, log: context.log }
      const { openTimeoutMs } = options
      const bytes = child.process.stdout!
      const open = async () => {
        // It stays undecided if ffmpeg exits first, or the server sends nothing.
        const ended = Promise.race([child.closed, sleep(openTimeoutMs, scope.signal)])
        // Nobody waits for it without a tap, or once the tap is readable.
        ended.catch(() => {})
        if (!tap || !(await Promise.race([tap.readable, ended.then(() => false)]))) {
          const which = program === undefined ? {} : { program }
          return await openTsSource({ kind, bytes, openTimeoutMs, ...which }, inside)
        }
        bytes.resume()
        return await tap.open(openTimeoutMs, child.closed, inside)
      }
      const opening = open()
      opening.catch(() => {})
      const source = await Promise.race([opening, unreadable.promise]).catch(async (thrown) => {
        throw (await reason('cannot be read')) ?? named(server, AppError.from(thrown))
      })
      if (!source) {
        await scope.close()
        return undefined
      }
      scope.use(source)
      const closed = source.closed.then(async (closed): Promise<Closed> => {
        const error = closed.why === 'stopped' ? undefined : await reason('has ended the stream')
        await scope.close()
        return error ? { why: 'failed', error } : closed
      })
      return new RemoteSource(source, closed)
    } catch (thrown) {
      await scope.close()
      throw AppError.from(thrown)
    }
  }

  get tracks(): readonly Track[] {
    return this.#source.tracks
  }

  requestKeyframe(): void {
    this.#source.requestKeyframe()
  }

  onMissing(listener: (missing: MissingMedia) => void): void {
    this.#source.onMissing?.(listener)
  }

  stats(): IngestStats {
    return this.#source.stats()
  }

  async close(): Promise<Closed> {
    await this.#source.close()
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

const COMMON = ['-hide_banner', '-loglevel', 'level+warning', '-nostats', '-nostdin']

/** The format is fixed: whatever the server sends, it is not read as anything else, and no playlist is followed. */
function inputArgs(kind: RemoteKind, url: string): string[] {
  if (kind === 'srt') return ['-f', 'data', '-raw_packet_size', '1316', '-i', url]
  // Nothing is probed ahead: probed data waits, and stays late for as long as the stream runs.
  const probe = ['-probesize', '32', '-analyzeduration', '0', '-fpsprobesize', '0']
  return [...probe, '-f', kind === 'rtsp' ? 'rtsp' : 'flv', '-i', url]
}

async function* inDecodeOrder(packets: AsyncIterable<EncodedPacket>): AsyncGenerator<EncodedPacket> {
  const order = new DecodeOrder()
  for await (const packet of packets) yield order.place(packet)
}

function outputArgs(kind: RemoteKind, audio: 'copy' | 'encode', { encoders, version }: FfmpegProgram): string[] {
  if (kind === 'srt') return ['-map', '0:0', '-c', 'copy', '-flush_packets', '1', '-f', 'data', 'pipe:1']
  const encoder = encoders.has('libopus') ? 'libopus' : 'aac'
  const codec = audio === 'copy' ? 'copy' : encoder
  return [
    ...['-map', '0:V:0', '-map', '0:a:0?', '-c:v', 'copy', '-c:a', codec, '-ar', '48000'],
    ...(kind === 'rtsp' && hasSetts(version) ? EARLY_DECODING : []),
    ...['-muxdelay', '0', '-muxpreload', '0', '-pes_payload_size', '0', '-flush_packets', '1'],
    ...['-max_interleave_delta', '1', '-f', 'mpegts', 'pipe:1'],
  ]
}

const hasSetts = ({ major, minor }: FfmpegProgram['version']) => major > 4 || (major === 4 && minor >= 4)

function named(server: string, error: AppError): AppError {
  const { code, message, retryable, details } = error
  return new AppError(code, `${server}: ${message}`, { retryable, cause: error, ...(details && { details }) })
}
