// Bound: each byte is copied at most twice; a line has `maxLineBytes` at most, and one message comes out of each.
import type { Duplex } from 'node:stream'
import { AppError } from '../core/errors.ts'

/** Limit of one message; a megabyte of params and the schema of a large pipeline fit many times. */
const MAX_LINE_BYTES = 16 * 1024 * 1024
/** Limit of unsent data for a peer that does not read. */
const MAX_WAITING_BYTES = 4 * MAX_LINE_BYTES

const NEWLINE = 0x0a

export type ChannelListeners = {
  onMessage(message: unknown): void
  /** Called once: a line is not JSON or too long, or the peer does not read. Nothing is read afterwards. */
  onBroken(error: AppError): void
}

/**
 * Control messages between the server and a runner: one JSON value per line (UTF-8, `\n`) over a plain socket, so that
 * a runner can be written in any language. Never throws, whatever the peer writes; keeps at most one line and the chunk
 * that it ends in; reading takes time proportional to the bytes.
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
    // The owner of the process notices the peer's end.
    socket.on('error', () => {})
  }

  /** `onSent` is called when the message has left this process or never will. */
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
