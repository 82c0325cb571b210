import { MAX_DATA_BYTES } from '../../sdk/data.ts'

/** Limit of messages that wait for one reader. */
const MAX_WAITING = 1000
const MAX_WAITING_BYTES = 4 * 1024 * 1024

/** Messages of a pipeline, for whoever subscribes: lines of JSON with the `pts` of their frames. */
export class StreamData {
  /** Messages in total, and those lost before they arrived here. */
  messages = 0
  lost = 0
  /** Messages that readers missed because they were too slow or could not take them, summed over readers. */
  missed = 0
  readonly #readers = new Set<DataReader>()
  #ended = false

  /** `lost`: number of messages lost before this one. */
  publish(pts: number, value: unknown, lost = 0): void {
    const json = JSON.stringify(value)
    this.lost += lost
    if (json === undefined || Buffer.byteLength(json) > MAX_DATA_BYTES) {
      this.lost++
      return
    }
    this.messages++
    for (const reader of this.#readers) reader.push(pts, json, lost)
  }

  get counts(): { messages: number; lost: number; missed: number } {
    const { messages, lost, missed } = this
    return { messages, lost, missed }
  }

  /**
   * Subscribes to messages from now on; ends with the stream. `onReady` is called when `shift` has something to return.
   */
  subscribe(onReady: () => void = () => {}): DataReader {
    const reader: DataReader = new DataReader({
      onReady,
      onEnd: () => this.#readers.delete(reader),
      onMissed: () => {
        this.missed++
      },
    })
    if (this.#ended) reader.end()
    else this.#readers.add(reader)
    return reader
  }

  end(): void {
    this.#ended = true
    for (const reader of [...this.#readers]) reader.end()
  }
}

type Listeners = { onReady(): void; onEnd(): void; onMissed(): void }

/** `lost`: number of messages lost before this one. */
export type DataMessage = { pts: number; lost: number; json: string }

/** A bounded queue: a reader that is too slow loses the oldest messages, and the next one says how many (`lost`). */
export class DataReader implements AsyncIterable<string> {
  readonly #listeners: Listeners
  #waiting: { pts: number; json: string }[] = []
  #bytes = 0
  #lost = 0
  #ended = false
  #wake: (() => void) | undefined

  constructor(listeners: Listeners) {
    this.#listeners = listeners
  }

  get ended(): boolean {
    return this.#ended
  }

  push(pts: number, json: string, lost: number): void {
    this.#lost += lost
    this.#waiting.push({ pts, json })
    this.#bytes += json.length
    while (this.#waiting.length > MAX_WAITING || this.#bytes > MAX_WAITING_BYTES) {
      this.#bytes -= this.#waiting.shift()!.json.length
      this.#lost++
      this.#listeners.onMissed()
    }
    this.#wake?.()
    this.#listeners.onReady()
  }

  /** The next message, if there is one. */
  next(): DataMessage | undefined {
    const message = this.#waiting.shift()
    if (!message) return undefined
    this.#bytes -= message.json.length
    const lost = this.#lost
    this.#lost = 0
    return { ...message, lost }
  }

  /** The next message as a line, without the line end. */
  shift(): string | undefined {
    const message = this.next()
    if (!message) return undefined
    const { pts, lost, json } = message
    return `{"pts":${pts},${lost > 0 ? `"lost":${lost},` : ''}"data":${json}}`
  }

  /** Counts a message that was taken but could not be passed on. */
  lose({ lost }: DataMessage): void {
    this.#lost += lost + 1
    this.#listeners.onMissed()
  }

  end(): void {
    this.#ended = true
    this.#listeners.onEnd()
    this.#wake?.()
  }

  /** Resolves when there may be a message, or none will come. */
  async wait(): Promise<void> {
    if (this.#waiting.length > 0 || this.#ended) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    try {
      while (!this.#ended || this.#waiting.length > 0) {
        const line = this.shift()
        if (line === undefined) await this.wait()
        else yield line
      }
    } finally {
      this.end()
    }
  }
}
