import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

const RING = Buffer.of(1)

/**
 * Tells the process at the other end of a socket to look at the shared memory. Rings run together while the socket is
 * not drained, so a stopped peer makes nothing grow.
 */
export class Doorbell {
  readonly #socket: Duplex

  constructor(socket: Duplex, onRing: () => void) {
    this.#socket = socket
    socket.on('data', onRing)
    // The peer's end is noticed by whoever owns the process.
    socket.on('error', () => {})
  }

  /** On a descriptor that this process inherited. */
  static onDescriptor(fd: number, onRing: () => void): Doorbell {
    return new Doorbell(new Socket({ fd, readable: true, writable: true }), onRing)
  }

  ring(): void {
    if (this.#socket.destroyed || this.#socket.writableLength > 0) return
    this.#socket.write(RING)
  }

  close(): void {
    this.#socket.destroy()
  }
}
