import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

const RING = Buffer.of(1)

/**
 * Tells the process at the other end of a socket to look at the shared memory. Unread rings coalesce, so a stopped peer
 * accumulates nothing.
 */
export class Doorbell {
  readonly #socket: Duplex
  readonly #onRing: () => void
  /** Descriptor of a socket that nobody else writes to. */
  readonly #fd: number | undefined
  #open = true

  constructor(socket: Duplex, onRing: () => void, fd?: number) {
    this.#socket = socket
    this.#onRing = onRing
    this.#fd = fd
    socket.on('data', this.#rang)
    // The owner of the process notices the peer's end.
    socket.on('error', () => {})
  }

  /** Uses a descriptor that this process inherited. */
  static onDescriptor(fd: number, onRing: () => void): Doorbell {
    const callback = () => {
      bell.#rang()
      return true
    }
    // Rings carry no data: they are always read into the same bytes.
    const onread = { buffer: Buffer.alloc(64), callback }
    const bell = new Doorbell(new Socket({ fd, readable: true, writable: true, onread }), onRing, fd)
    return bell
  }

  ring(): void {
    if (this.#socket.destroyed || this.#socket.writableLength > 0) return
    if (this.#fd !== undefined && rung(this.#fd)) return
    this.#socket.write(RING)
  }

  /** The socket is closed by the owner of the process. */
  close(): void {
    this.#open = false
    this.#socket.off('data', this.#rang)
  }

  readonly #rang = (): void => {
    if (this.#open) this.#onRing()
  }
}

/** Uses the system call directly, which costs a fraction of writing to a stream. */
function rung(fd: number): boolean {
  try {
    return writeSync(fd, RING) === 1
  } catch {
    return false
  }
}
