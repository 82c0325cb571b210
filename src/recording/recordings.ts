import { AppError } from '../core/errors.ts'
import { type Closed, type Context, type Resource, Scope } from '../core/resource.ts'
import type { View } from '../stream/output/audience.ts'
import type { StreamRegistry } from '../stream/registry.ts'
import type { RecordingFolder, StoredFile } from './folder.ts'
import { Recording, type RecordingStatus } from './recording.ts'

export type RecordingsOptions = {
  registry: StreamRegistry
  folder: RecordingFolder
  ffmpeg: string
  splitMs: number
  splitBytes: number
  /** View of every stream that is recorded from its publisher on. */
  always: View | undefined
}

/** Limit of remembered ended recordings. */
const MAX_ENDED = 100

/** All recordings of the server. */
export class Recordings implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: RecordingsOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #running = new Map<string, Recording>()
  readonly #ended: RecordingStatus[] = []

  constructor(options: RecordingsOptions, context: Context) {
    this.#options = options
    this.#scope = new Scope(context.signal)
    this.#context = { signal: this.#scope.signal, log: context.log }
    this.closed = this.#scope.closed
    this.#scope.defer(() => Promise.all([...this.#running.values()].map((recording) => recording.close())))
    const { always, registry } = options
    if (always === undefined) return
    this.#scope.defer(
      registry.onEvent((stream, event) => {
        if (event.type !== 'publisher' || event.event !== 'joined' || this.#of(stream, always)) return
        this.start(stream, always).catch((err) => this.#context.log.error({ err, stream }, 'stream is not recorded'))
      }),
    )
  }

  /**
   * @throws AppError `not-found` for an unknown stream, `conflict` if that view is already recorded, `capacity` if the
   * disk is full.
   */
  async start(stream: string, view: View): Promise<RecordingStatus> {
    const { registry, folder, ffmpeg, splitMs, splitBytes } = this.#options
    registry.get(stream)
    await folder.checkRoom()
    const live = registry.get(stream)
    const already = this.#of(stream, view)
    if (already) {
      throw new AppError('conflict', `the ${view} of "${stream}" is recorded already, by ${already.id}`)
    }
    // The input view exists only while somebody watches it.
    const leave = view === 'input' ? live.admitViewer(view) : () => {}
    const context = { ...this.#context, log: this.#context.log.child({ stream }) }
    const reader = live.subscribe(view)
    const recording = new Recording({ stream, view, reader, folder, ffmpeg, splitMs, splitBytes }, context)
    this.#running.set(recording.id, recording)
    const { events } = live
    events.emit({ type: 'recording', status: 'started', recording: recording.id, view })
    void recording.closed.then(() => {
      leave()
      this.#running.delete(recording.id)
      const { files, error } = this.#remember(recording.status())
      const told = { type: 'recording', recording: recording.id, view, files } as const
      if (error) events.emit({ ...told, status: 'failed', error })
      else events.emit({ ...told, status: 'finished' })
    })
    return recording.status()
  }

  #remember(status: RecordingStatus): RecordingStatus {
    this.#ended.push(status)
    if (this.#ended.length > MAX_ENDED) this.#ended.shift()
    const { error, files, id, stream } = status
    if (error) this.#context.log.error({ stream, recording: id, files, error }, 'recording failed')
    return status
  }

  /** Ends a recording; its last file is complete when this resolves. @throws AppError `not-found`. */
  async stop(stream: string, id: string): Promise<RecordingStatus> {
    const recording = this.#running.get(id)
    if (recording?.status().stream === stream) {
      await recording.close()
      return recording.status()
    }
    const ended = this.#ended.find((one) => one.id === id && one.stream === stream)
    if (ended) return ended
    throw new AppError('not-found', `the stream "${stream}" has no recording "${id}"`)
  }

  /** The running and recently ended recordings of a stream. */
  of(stream: string): RecordingStatus[] {
    const running = [...this.#running.values()].map((recording) => recording.status())
    return [...this.#ended, ...running].filter((one) => one.stream === stream)
  }

  get running(): number {
    return this.#running.size
  }

  /** All files, newest first; `growing` while being written. */
  async files(): Promise<(StoredFile & { growing: boolean })[]> {
    const growing = new Set([...this.#running.values()].map((recording) => recording.status().files.at(-1)))
    return (await this.#options.folder.list()).map((stored) => ({ ...stored, growing: growing.has(stored.file) }))
  }

  pathOf(file: string): string | undefined {
    return this.#options.folder.pathOf(file)
  }

  #of(stream: string, view: View): Recording | undefined {
    return [...this.#running.values()].find((one) => {
      const status = one.status()
      return status.stream === stream && status.view === view
    })
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
