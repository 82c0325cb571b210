import { Readable } from 'node:stream'
import { TsReader } from '../codec/mpegts/reader.ts'
import { AppError } from '../core/errors.ts'
import type { IngestKind, IngestSource, IngestStats } from '../core/media/endpoints.ts'
import type { EncodedPacket, Track } from '../core/media/packet.ts'
import { type Closed, type Context, Scope } from '../core/resource.ts'
import { Opening } from './opening.ts'
import { sniff } from './sniff.ts'
import { untilAborted } from './until-aborted.ts'

export type TsSourceOptions = {
  kind: Extract<IngestKind, 'mpegts' | 'trickle'>
  /**
   * A transport stream, cut anywhere; the chunks must not change afterwards. Read only as fast as the packets are taken,
   * and told to return when the source ends; a Node stream stays open, since an HTTP answer may still go its way back.
   */
  bytes: AsyncIterable<Uint8Array>
  /** Longest time until the tracks are known. */
  openTimeoutMs?: number
}

const DEFAULT_OPEN_TIMEOUT_MS = 15_000
/** What is no transport stream by then is none. */
const SYNC_WITHIN_MS = 5000
const SYNC_WITHIN_BYTES = 1024 * 1024
/** So much is enough when the bytes begin as another format does. */
const SNIFF_BYTES = 4096

/**
 * Reads a transport stream until its tracks are known: the first video keyframe and the first audio, or one of them when
 * the other does not come within a second of stream. Fails with `unsupported-media` for bytes that are no transport
 * stream, a scrambled program, a codec that is not read, or a video without keyframe; with `timeout` when nothing comes.
 *
 * `packets` never throws: it ends, and `closed` tells why. `failed` with `peer-failed` is a connection that broke.
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
  readonly #reader = new TsReader()
  readonly #opening = new Opening()
  readonly #batches: AsyncGenerator<EncodedPacket[]>
  #bytes = 0
  #head = new Uint8Array(0)

  constructor(options: TsSourceOptions, context: Context) {
    this.kind = options.kind
    this.#scope = new Scope(context.signal)
    const { bytes } = options
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

  /** A transport stream has no way back to its publisher. */
  requestKeyframe(): void {}

  stats(): IngestStats {
    return { bytes: this.#bytes, lost: this.#reader.lost }
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
        if (done && !this.#opening.usable(program)) throw this.#opening.failure(program, 'before it ended')
        if (done) return
        if (timers.length === 1) timers.push(setTimeout(() => this.#checkSync(), SYNC_WITHIN_MS))
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

  #keepHead(chunk: Uint8Array): void {
    if (this.#head.length >= SNIFF_BYTES) return
    const head = new Uint8Array(this.#head.length + Math.min(chunk.length, SNIFF_BYTES))
    head.set(this.#head)
    head.set(chunk.subarray(0, SNIFF_BYTES), this.#head.length)
    this.#head = head
  }

  /** True when the bytes so far are certain to be something else. */
  #foreign(): boolean {
    return this.#bytes >= SYNC_WITHIN_BYTES || (this.#bytes >= SNIFF_BYTES && sniff(this.#head) !== undefined)
  }

  #checkSync(): void {
    if (!this.#reader.synced) this.#scope.end({ why: 'failed', error: this.#notTransportStream() })
  }

  #late(timeoutMs: number): AppError {
    if (this.#bytes === 0) return new AppError('timeout', `no bytes came within ${timeoutMs} ms`, { retryable: true })
    if (!this.#reader.synced) return this.#notTransportStream()
    return this.#opening.failure(this.#reader.program, `within ${timeoutMs} ms`)
  }

  #notTransportStream(): AppError {
    const looksLike = sniff(this.#head)
    const seen = this.#bytes === 0 ? 'nothing came' : looksLike ? `it looks like ${looksLike}` : 'its format is unknown'
    const how = 'send MPEG-TS, for example with: ffmpeg -re -i INPUT -c:v libx264 -c:a aac -f mpegts URL'
    return new AppError('unsupported-media', `the body is no MPEG-TS stream: ${seen}; ${how}`, {
      details: { bytes: this.#bytes, ...(looksLike && { looksLike }), accepted: 'MPEG-TS (packets of 188 bytes)' },
    })
  }
}
