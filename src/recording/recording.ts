import { randomBytes } from 'node:crypto'
import type { Reader } from '../core/broadcast.ts'
import { AppError, type AppErrorJson } from '../core/errors.ts'
import type { EncodedPacket, Track } from '../core/media/packet.ts'
import { type Closed, type Context, type Resource, Scope } from '../core/resource.ts'
import { tsSegments } from '../mpegts/sink.ts'
import type { View } from '../stream/output/audience.ts'
import { RecordedFile } from './file.ts'
import type { RecordingFolder } from './folder.ts'

export type RecordingOptions = {
  stream: string
  view: View
  reader: Reader
  folder: RecordingFolder
  /** Path of the program. */
  ffmpeg: string
  /** A new file begins at the first keyframe after this time or this many bytes; 0 is never. */
  splitMs: number
  splitBytes: number
}

export type RecordingStatus = {
  id: string
  stream: string
  view: View
  state: 'recording' | 'finished' | 'failed'
  /** Milliseconds since 1970. */
  startedAt: number
  /** Names, oldest first; the last one grows. */
  files: string[]
  bytes: number
  /** Packets dropped because the disk was too slow. */
  dropped: number
  error?: AppErrorJson
}

/** Interval between checks of the remaining space. */
const LOOK_MS = 5000

/** Records a stream's output to files until it ends or is stopped. */
export class Recording implements Resource {
  readonly closed: Promise<Closed>
  readonly id = randomBytes(6).toString('hex')
  readonly #options: RecordingOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #startedAt = Date.now()
  readonly #files: string[] = []
  #finishedBytes = 0
  #file: RecordedFile | undefined
  #track: Track | undefined
  #lookedAt = Date.now()

  constructor(options: RecordingOptions, context: Context) {
    this.#options = options
    this.#context = context
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#scope.signal.addEventListener('abort', () => options.reader.end(), { once: true })
    this.#scope.spawn(async () => await this.#record())
  }

  status(): RecordingStatus {
    const { stream, view, reader } = this.#options
    const { reason } = this.#scope
    return {
      id: this.id,
      stream,
      view,
      state: reason === undefined ? 'recording' : reason.error ? 'failed' : 'finished',
      startedAt: this.#startedAt,
      files: [...this.#files],
      bytes: this.#finishedBytes + (this.#file?.bytes ?? 0),
      dropped: reader.dropped,
      ...(reason?.error && { error: reason.error.toJSON() }),
    }
  }

  async #record(): Promise<Closed> {
    const segments = tsSegments(this.#watched(), { minSegmentMs: 0, audioAlone: this.#options.view === 'input' })
    try {
      for await (const { bytes, startsSegment } of segments) {
        if (startsSegment && this.#isDue()) await this.#begin()
        this.#file?.write(bytes)
        await this.#lookAtRoom()
      }
      await this.#finish()
      return { why: 'ended' }
    } catch (thrown) {
      await this.#file?.abort()
      this.#close()
      return { why: 'failed', error: AppError.from(thrown) }
    } finally {
      this.#options.reader.end()
    }
  }

  /** Records the video form at each keyframe: a file has one resolution and one codec. */
  async *#watched(): AsyncGenerator<EncodedPacket> {
    for await (const packet of this.#options.reader) {
      if (packet.track.kind === 'video' && packet.key) this.#track = packet.track
      yield packet
    }
  }

  #isDue(): boolean {
    const file = this.#file
    if (!file) return true
    const { splitMs, splitBytes } = this.#options
    if (splitMs > 0 && Date.now() - file.startedAt >= splitMs) return true
    if (splitBytes > 0 && file.bytes >= splitBytes) return true
    return this.#track !== undefined && formOf(this.#track) !== this.#form
  }

  #form = ''

  async #begin(): Promise<void> {
    const { stream, folder, ffmpeg } = this.#options
    await this.#finish()
    const name = folder.fileName(stream, new Date())
    this.#file = await RecordedFile.open(ffmpeg, name, folder.pathOf(name) as string)
    this.#files.push(name)
    this.#form = this.#track ? formOf(this.#track) : ''
    this.#context.log.info({ file: name, recording: this.id }, 'recording')
  }

  async #finish(): Promise<void> {
    const file = this.#file
    this.#close()
    await file?.finish()
  }

  #close(): void {
    this.#finishedBytes += this.#file?.bytes ?? 0
    this.#file = undefined
  }

  async #lookAtRoom(): Promise<void> {
    if (Date.now() - this.#lookedAt < LOOK_MS) return
    this.#lookedAt = Date.now()
    await this.#options.folder.checkRoom()
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function formOf(track: Track): string {
  return track.kind === 'video' ? `${track.codec} ${track.width}x${track.height}` : track.codec
}
