// RFC 2326: reads the media of an RTSP session from a client's connection.
// Bound: 4,096 access units and 32 MiB wait for the reader; the rest is bounded by `RtspSession` and `RtspMedia`.
import type { RtspHead, RtspListener } from '../../codec/rtsp.ts'
import { AppError } from '../../core/errors.ts'
import type { IngestSource, IngestStats } from '../../core/media/endpoints.ts'
import type { EncodedPacket, Track } from '../../core/media/packet.ts'
import { type Closed, type Context, deadline, Scope } from '../../core/resource.ts'
import { Opening } from '../../mpegts/opening.ts'
import { RtspMedia } from './rtsp-media.ts'
import { RtspSession } from './rtsp-session.ts'

/** Limits of the queue; beyond, it is dropped up to the next keyframe. */
const MAX_WAITING = 4096
const MAX_WAITING_BYTES = 32 * 1024 * 1024

/**
 * Listens to the connection between ffmpeg, as the RTSP client, and the server. `readable` tells whether the media can be read
 * from it; until `open` is called nothing is kept.
 */
export class RtspTap implements RtspListener {
  /** Settles once the media have been set up and play. */
  readonly readable: Promise<boolean>
  readonly #readable = Promise.withResolvers<boolean>()
  #session = new RtspSession()
  #media: RtspMedia | undefined
  #source: TapSource | undefined

  constructor() {
    this.readable = this.#readable.promise
  }

  /** A client that reconnects starts anew. */
  connected(): void {
    if (!this.#media) this.#session = new RtspSession()
  }

  onRequest(text: string): void {
    this.#session.request(text)
  }

  onHead(head: RtspHead): void {
    this.#session.response(head)
    if (this.#media || !this.#session.playing) return
    const { tracks } = this.#session
    const readable = RtspMedia.reads(tracks)
    if (readable) this.#media = new RtspMedia(tracks, (packet) => this.#source?.add(packet))
    this.#readable.resolve(readable)
  }

  onBody(body: Buffer): void {
    try {
      this.#session.body(body)
    } catch {
      // ffmpeg reports it.
    }
  }

  onPacket(channel: number, packet: Buffer): void {
    this.#media?.push(channel, packet)
  }

  /**
   * The media from now on; only if `readable`. Resolves when the tracks are known. Rejects with `timeout`, or with the reason
   * of `ended`.
   */
  async open(timeoutMs: number, ended: Promise<Closed>, context: Context): Promise<IngestSource> {
    const source = new TapSource(this.#media!, ended, context)
    this.#source = source
    try {
      await deadline(source.opened, timeoutMs, 'the first keyframe')
      return source
    } catch (thrown) {
      await source.close()
      throw AppError.from(thrown)
    }
  }
}

class TapSource implements IngestSource {
  readonly kind = 'rtsp'
  readonly packets: AsyncIterable<EncodedPacket>
  /** Resolves when the tracks are known; rejects if it ends before. */
  readonly opened: Promise<void>
  readonly #opened = Promise.withResolvers<void>()
  readonly #media: RtspMedia
  readonly #scope: Scope
  readonly #opening = new Opening()
  #waiting: EncodedPacket[] = []
  #bytes = 0
  #givenUp = 0
  #waitsForKey = true
  #wake: (() => void) | undefined

  constructor(media: RtspMedia, ended: Promise<Closed>, context: Context) {
    this.#media = media
    this.#scope = new Scope(context.signal)
    this.#scope.signal.addEventListener('abort', () => this.#wake?.(), { once: true })
    void ended.then((closed) => this.#scope.end(closed))
    this.opened = this.#opened.promise
    this.opened.catch(() => {})
    void this.closed.then(({ error }) =>
      this.#opened.reject(error ?? new AppError('peer-failed', 'the stream ended before its first keyframe')),
    )
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

  /** RTSP has no request for one. */
  requestKeyframe(): void {}

  stats(): IngestStats {
    return { bytes: this.#media.bytes, lost: this.#media.lost + this.#givenUp }
  }

  add(packet: EncodedPacket): void {
    if (this.#scope.reason) return
    const isVideo = packet.track.kind === 'video'
    if (isVideo && packet.key) this.#waitsForKey = false
    if (isVideo && this.#waitsForKey) return
    if (this.#opening.complete) this.#queue(packet)
    else this.#open(packet)
  }

  #open(packet: EncodedPacket): void {
    const { video, audio } = this.#media
    this.#opening.add(packet, { number: 0, video, ...(audio && { audio }) })
    if (!this.#opening.complete) return
    for (const one of this.#opening.packets) this.#queue(one)
    this.#opening.packets = []
    this.#opened.resolve()
  }

  #queue(packet: EncodedPacket): void {
    this.#waiting.push(packet)
    this.#bytes += packet.data.length
    if (this.#waiting.length > MAX_WAITING || this.#bytes > MAX_WAITING_BYTES) {
      this.#givenUp += this.#waiting.length
      this.#waiting = []
      this.#bytes = 0
      this.#waitsForKey = true
    }
    this.#wake?.()
  }

  async *#deliver(): AsyncGenerator<EncodedPacket> {
    try {
      for (;;) {
        const packet = this.#waiting.shift()
        if (packet) {
          this.#bytes -= packet.data.length
          yield packet
          continue
        }
        if (this.#scope.reason) return
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#wake = resolve
        await promise
      }
    } finally {
      this.#scope.end({ why: 'stopped' })
    }
  }
}
