import { Readable } from 'node:stream'
import { ACCEPTED_CODECS } from '../codec/mpegts/codec.ts'
import { TsReader } from '../codec/mpegts/reader.ts'
import { AppError } from '../core/errors.ts'
import type { IngestKind, IngestSource, IngestStats, MissingMedia } from '../core/media/endpoints.ts'
import type { EncodedPacket, Track } from '../core/media/packet.ts'
import { type Closed, type Context, Scope } from '../core/resource.ts'
import { Opening } from './opening.ts'
import { sniff } from './sniff.ts'
import { untilAborted } from './until-aborted.ts'

export type TsSourceOptions = {
  kind: Exclude<IngestKind, 'whip' | 'whep' | 'livekit'>
  /**
   * A transport stream, split anywhere; chunks must not change afterwards. Read only as fast as packets are taken, and
   * told to return when the source ends; a Node stream stays open, because an HTTP response may follow.
   */
  bytes: AsyncIterable<Uint8Array>
  /** Time limit until the tracks are known. */
  openTimeoutMs?: number
  /** Number of the program to read; default: the first readable one. */
  program?: number
  /** Also reads a program that lists no video. */
  audioAlone?: boolean
}

const DEFAULT_OPEN_TIMEOUT_MS = 15_000
/** Time limit for recognizing a transport stream. */
const SYNC_WITHIN_MS = 5000
const SYNC_WITHIN_BYTES = 1024 * 1024
/** A requested program may be listed a little later than others. */
const PROGRAM_WITHIN_MS = 2000
/** This many bytes suffice if they begin like another format. */
const SNIFF_BYTES = 4096

/**
 * Reads a transport stream until its tracks are known: the first video keyframe, and the first audio if it comes within
 * a second of stream time. A stream that ends before that may have audio alone. Rejects with `unsupported-media` for
 * bytes that are not a transport stream, and if no program can be read: scrambled, unsupported codec, without video or
 * without keyframe; with `invalid-request` if the requested program does not exist; with `timeout` if nothing comes.
 * `packets` never throws: it ends, and `closed` says why; `peer-failed` there is a broken connection.
 */
export async function openTsSource(options: TsSourceOptions, context: Context): Promise<IngestSource> {
  const source = new TsSource(options, context)
  try {
    await source.open(options.openTimeoutMs ?? DEFAULT_OPEN_TIMEOUT_MS)
  } catch (thrown) {
    const error = AppError.from(thrown)
    await source.fail(error)
    throw error
  }
  context.log.debug({ tracks: source.tracks }, 'transport stream opened')
  return source
}

class TsSource implements IngestSource {
  readonly kind: IngestKind
  readonly packets: AsyncIterable<EncodedPacket>
  readonly #scope: Scope
  readonly #reader: TsReader
  readonly #opening: Opening
  readonly #batches: AsyncGenerator<EncodedPacket[]>
  #bytes = 0
  #head = new Uint8Array(0)
  #sniffed = false
  #onMissing: ((missing: MissingMedia) => void) | undefined
  /** Last reported state. */
  #told: Partial<Record<MissingMedia['kind'], string>> = {}

  constructor(options: TsSourceOptions, context: Context) {
    this.kind = options.kind
    this.#scope = new Scope(context.signal)
    const { bytes, program, audioAlone } = options
    this.#opening = new Opening(audioAlone)
    this.#reader = new TsReader(program === undefined ? {} : { program })
    const kept = bytes instanceof Readable ? bytes.iterator({ destroyOnReturn: false }) : bytes
    const chunks = untilAborted(kept, this.#scope.signal)
    this.#scope.defer(() => chunks.return(undefined))
    this.#batches = this.#read(chunks)
    this.packets = this.#deliver()
  }

  get tracks(): readonly Track[] {
    return this.#opening.tracks
  }

  get closed(): Promise<Closed> {
    return this.#scope.closed
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  fail(error: AppError): Promise<Closed> {
    this.#scope.end({ why: 'failed', error })
    return this.closed
  }

  onMissing(listener: (missing: MissingMedia) => void): void {
    this.#onMissing = listener
    this.#tellMissing()
  }

  /** A transport stream has no back channel to its publisher. */
  requestKeyframe(): void {}

  stats(): IngestStats {
    const { lost, program } = this.#reader
    return { bytes: this.#bytes, lost, ...(program && { program: program.number }) }
  }

  async open(timeoutMs: number): Promise<void> {
    const timers = [setTimeout(() => this.#scope.end({ why: 'failed', error: this.#late(timeoutMs) }), timeoutMs)]
    try {
      while (!this.#opening.complete) {
        const { done, value: batch } = await this.#batches.next()
        if (this.#scope.reason) throw this.#scope.reason.error ?? new AppError('peer-failed', 'the ingest was stopped')
        const { program, synced } = this.#reader
        if (program) for (const packet of batch ?? []) this.#opening.add(packet, program)
        if (!synced && (done || this.#foreign())) throw this.#notTransportStream()
        if (done && !this.#opening.usable) throw this.#failure('before it ended')
        if (done) return
        if (timers.length === 1) timers.push(setTimeout(() => this.#checkSync(), SYNC_WITHIN_MS))
        if (timers.length === 2 && this.#reader.listed) {
          timers.push(setTimeout(() => this.#checkProgram(), PROGRAM_WITHIN_MS))
        }
      }
    } finally {
      for (const timer of timers) clearTimeout(timer)
    }
  }

  async *#read(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<EncodedPacket[]> {
    try {
      for await (const chunk of chunks) {
        this.#bytes += chunk.length
        if (!this.#reader.synced) this.#keepHead(chunk)
        yield this.#reader.push(chunk)
        // After the packets before it.
        this.#tellMissing()
      }
    } catch (thrown) {
      if (thrown instanceof AppError) throw thrown
      yield this.#reader.flush(true)
      const reason = thrown instanceof Error ? thrown.message : String(thrown)
      throw new AppError('peer-failed', `the connection of the publisher broke: ${reason}`, {
        retryable: true,
        cause: thrown,
      })
    }
    yield this.#reader.flush()
  }

  async *#deliver(): AsyncGenerator<EncodedPacket> {
    try {
      yield* this.#opening.packets
      for await (const batch of this.#batches) yield* batch
      this.#scope.end({ why: 'ended' })
    } catch (thrown) {
      this.#scope.end({ why: 'failed', error: AppError.from(thrown) })
    } finally {
      this.#scope.end({ why: 'stopped' })
    }
  }

  #tellMissing(): void {
    if (!this.#onMissing) return
    for (const kind of ['video', 'audio'] as const) {
      const missing = this.#reader.missing(kind)
      if (missing === this.#told[kind]) continue
      if (missing === undefined) delete this.#told[kind]
      else this.#told[kind] = missing
      if (missing === '') this.#onMissing({ kind })
      else if (missing)
        this.#onMissing({ kind, why: `the ${kind} is not read: ${missing}; accepted are ${ACCEPTED_CODECS}` })
    }
  }

  #keepHead(chunk: Uint8Array): void {
    if (this.#head.length >= SNIFF_BYTES) return
    const head = new Uint8Array(this.#head.length + Math.min(chunk.length, SNIFF_BYTES))
    head.set(this.#head)
    head.set(chunk.subarray(0, SNIFF_BYTES), this.#head.length)
    this.#head = head
  }

  /** Whether the bytes so far are certainly another format. */
  #foreign(): boolean {
    if (this.#bytes >= SYNC_WITHIN_BYTES) return true
    if (this.#bytes < SNIFF_BYTES || this.#sniffed) return false
    this.#sniffed = true
    return sniff(this.#head) !== undefined
  }

  #checkSync(): void {
    if (!this.#reader.synced) this.#scope.end({ why: 'failed', error: this.#notTransportStream() })
  }

  #checkProgram(): void {
    const { refusal } = this.#reader
    if (refusal?.code === 'invalid-request') this.#scope.end({ why: 'failed', error: refusal })
  }

  #late(timeoutMs: number): AppError {
    if (this.#bytes === 0)
      return new AppError('timeout', `no bytes arrived within ${timeoutMs} ms`, { retryable: true })
    if (!this.#reader.synced) return this.#notTransportStream()
    return this.#failure(`within ${timeoutMs} ms`)
  }

  /** Why it cannot be opened; `until` describes when the wait ended. */
  #failure(until: string): AppError {
    const { listed, program, refusal } = this.#reader
    const error = (what: string) =>
      new AppError('unsupported-media', `the MPEG-TS stream had ${what} ${until}`, {
        ...(program && { details: { program } }),
      })
    if (!listed) return error('no program tables')
    if (program?.video) return error('no video keyframe')
    if (program?.audio) return error('audio but no video')
    return refusal ?? error('nothing that can be read')
  }

  #notTransportStream(): AppError {
    const looksLike = sniff(this.#head)
    const seen = this.#bytes === 0 ? 'nothing came' : looksLike ? `it looks like ${looksLike}` : 'its format is unknown'
    const how = 'send MPEG-TS, for example with: ffmpeg -re -i INPUT -c:v libx264 -c:a aac -f mpegts URL'
    return new AppError('unsupported-media', `the body is no MPEG-TS stream: ${seen}; ${how}`, {
      details: {
        bytes: this.#bytes,
        ...(looksLike && { looksLike }),
        accepted: 'MPEG-TS (packets of 188, 192 or 204 bytes)',
      },
    })
  }
}
