import type { AppErrorJson } from '../core/errors.ts'
import { plainly } from '../core/plain-paths.ts'

/** A stream's encoders: of the output and of the input view, each also for viewers without H.264. */
export type EncoderSource = 'encoder' | 'encoder-vp8' | 'input-view' | 'input-view-vp8'

/** An event of a stream, as its subscribers get it. */
export type StreamEventData =
  | { type: 'state'; state: string; previous: string }
  | { type: 'publisher'; event: 'joined' | 'left'; kind: string; reason?: string }
  /** Another pipeline loads, is on air, or failed to load; then the previous one stays. */
  | { type: 'pipeline'; status: 'loading' | 'on-air' | 'failed'; pipeline: string; error?: AppErrorJson }
  | { type: 'params'; status: 'applied' | 'rejected'; revision: number; hash: string; error?: AppErrorJson }
  | {
      type: 'error'
      source: 'pipeline' | 'decoder' | EncoderSource | 'audio' | 'ingest' | 'egress' | 'control' | 'events'
      message: string
      /** The pipeline's name within a chain. */
      stage?: string
    }
  | {
      type: 'restart'
      source: 'pipeline' | 'decoder' | EncoderSource | 'audio'
      count: number
      logs?: string[]
      stage?: string
    }
  | { type: 'log'; level: string; line: string; stage?: string }
  | { type: 'viewers'; viewers: number; inputViewers: number }
  | { type: 'status'; status: Record<string, unknown> }
  | {
      type: 'recording'
      status: 'started' | 'finished' | 'failed'
      recording: string
      view: 'input' | 'output'
      files?: string[]
      error?: AppErrorJson
    }
  /** A push target accepted the output, was lost and is retried, or has ended. */
  | {
      type: 'output'
      status: 'running' | 'lost' | 'ended'
      output: string
      kind: string
      to: string
      error?: AppErrorJson
    }
  | { type: 'ended'; why: string; error?: AppErrorJson }

export type StreamEvent = StreamEventData & {
  /** Rises by one with each event of a stream. */
  id: number
  /** Milliseconds since 1970. */
  timestamp: number
}

type Listener = (event: StreamEvent) => void

/** The events of one stream: told to whoever listens, and the newest kept for those who come back. */
export class StreamEvents {
  readonly #kept: StreamEvent[] = []
  readonly #listeners = new Set<Listener>()
  readonly #keep: number
  #next = 1

  constructor(keep = 500) {
    this.#keep = keep
  }

  emit(data: StreamEventData): void {
    // Where things lie on this machine is for its log.
    const event: StreamEvent = { ...plainly(data), id: this.#next++, timestamp: Date.now() }
    this.#kept.push(event)
    if (this.#kept.length > this.#keep) this.#kept.shift()
    for (const listener of [...this.#listeners]) listener(event)
  }

  /** Events after `lastId` that are still kept, then every new one. Returns a function that ends it. */
  subscribe(listener: Listener, lastId = this.#next - 1): () => void {
    for (const event of this.#kept) if (event.id > lastId) listener(event)
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
