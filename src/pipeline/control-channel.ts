import type { Duplex } from 'node:stream'
import { AppError } from '../core/errors.ts'

/** A message may be this long; params of a megabyte and the schema of a large pipeline fit many times over. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024
/** What a peer that does not read leaves behind. */
const MAX_WAITING_BYTES = 4 * MAX_LINE_BYTES

const NEWLINE = 0x0a

export type ChannelListeners = {
  onMessage(message: unknown): void
  /** Told once: a line that is not JSON, one that is too long, or a peer that does not read. Nothing is read after it. */
  onBroken(error: AppError): void
}

/**
 * Control messages between the server and a runner: one JSON value a line (UTF-8, `\n`) over a plain socket, so that a
 * runner can be written in any language. Whatever the peer writes, nothing is thrown, and no more than one line and the
 * chunk it ends in is kept; reading takes time in proportion to the bytes.
 */
export class ControlChannel {
  readonly #socket: Duplex
  readonly #listeners: ChannelListeners
  readonly #maxLineBytes: number
  #parts: Buffer[] = []
  #partBytes = 0
  #broken = false

  constructor(socket: Duplex, listeners: ChannelListeners, { maxLineBytes = MAX_LINE_BYTES } = {}) {
    this.#socket = socket
    this.#listeners = listeners
    this.#maxLineBytes = maxLineBytes
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    // The peer's end is noticed by whoever owns the process.
    socket.on('error', () => {})
  }

  /** `onSent` is called when the message has left this process, or never will. */
  send(message: unknown, onSent?: () => void): void {
    if (this.#socket.destroyed || !this.#socket.writable) {
      onSent?.()
      return
    }
    this.#socket.write(`${JSON.stringify(message)}\n`, () => onSent?.())
    if (this.#socket.writableLength > MAX_WAITING_BYTES)
      this.#break(`does not read its control messages: ${this.#socket.writableLength} bytes wait`)
  }

  #read(chunk: Buffer): void {
    let start = 0
    while (!this.#broken && start < chunk.length) {
      const end = chunk.indexOf(NEWLINE, start)
      const part = chunk.subarray(start, end < 0 ? chunk.length : end)
      this.#partBytes += part.length
      if (this.#partBytes > this.#maxLineBytes) {
        this.#break(`sent a control message of more than ${this.#maxLineBytes} bytes`)
        return
      }
      this.#parts.push(part)
      if (end < 0) return
      start = end + 1
      this.#line()
    }
  }

  #line(): void {
    const text = (this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)).toString('utf8')
    this.#parts = []
    this.#partBytes = 0
    let message: unknown
    try {
      message = JSON.parse(text)
    } catch {
      const shown = JSON.stringify(text.slice(0, 80))
      this.#break(`wrote ${shown} to its control channel (descriptor 3), where each line must be one JSON message`)
      return
    }
    this.#listeners.onMessage(message)
  }

  #break(what: string): void {
    if (this.#broken) return
    this.#broken = true
    this.#parts = []
    this.#socket.pause()
    this.#listeners.onBroken(new AppError('pipeline-failed', `the pipeline's process ${what}`))
  }
}
