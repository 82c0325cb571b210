import type { AppErrorJson } from '../core/errors.ts'

/** What happened in a stream, as its watchers are told. */
export type StreamEventData =
  | { type: 'state'; state: string; previous: string }
  | { type: 'publisher'; event: 'joined' | 'left'; kind: string; reason?: string }
  | { type: 'params'; status: 'applied' | 'rejected'; revision: number; hash: string; error?: AppErrorJson }
  | {
      type: 'error'
      source: 'pipeline' | 'decoder' | 'encoder' | 'input-view' | 'audio' | 'ingest' | 'egress' | 'control' | 'events'
      message: string
    }
  | {
      type: 'restart'
      source: 'pipeline' | 'decoder' | 'encoder' | 'input-view' | 'audio'
      count: number
      logs?: string[]
    }
  | { type: 'log'; level: string; line: string }
  | { type: 'viewers'; viewers: number; inputViewers: number }
  | { type: 'status'; status: Record<string, unknown> }
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
    const event: StreamEvent = { ...data, id: this.#next++, timestamp: Date.now() }
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
