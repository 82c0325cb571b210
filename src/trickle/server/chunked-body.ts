// Chunked transfer coding (RFC 9112 §7.1) for many small pieces and many readers. Node makes a string, a turn of the
// event loop and a write of four parts for each piece and reader; here all readers share the same bytes.
import type { ServerResponse } from 'node:http'

/** Longer pieces are written in parts: copying them costs more. */
const COPIED_BYTES = 64 * 1024
const CRLF = Buffer.from('\r\n')

type Framed = { buffer: ArrayBufferLike; from: number; length: number; bytes: Buffer }

/** The last framed piece: waiting readers are woken one after the other. */
let newest: Framed | undefined

/** The body of a response, with pieces written directly to the socket where the client sees no difference. */
export class ChunkedBody {
  readonly #response: ServerResponse
  readonly #onDrain: () => void
  #began = false

  /** `onDrain`: more may be written after `write` returned false. */
  constructor(response: ServerResponse, onDrain: () => void) {
    this.#response = response
    this.#onDrain = onDrain
    response.on('drain', onDrain)
  }

  /** False if nothing more should be written before the drain. The first piece goes with the head. */
  write(piece: Uint8Array): boolean {
    const { socket } = this.#response
    // HTTP/1.0 has no chunks, and a response queued behind another has no socket yet.
    if (!this.#began || !socket || !this.#response.chunkedEncoding) {
      if (socket && !this.#began) {
        this.#began = true
        socket.on('drain', this.#onDrain)
        this.#response.once('close', () => socket.off('drain', this.#onDrain))
      }
      return this.#response.write(piece)
    }
    if (piece.length <= COPIED_BYTES) return socket.write(framed(piece))
    socket.cork()
    socket.write(sizeLine(piece.length))
    socket.write(piece)
    const more = socket.write(CRLF)
    socket.uncork()
    return more
  }
}

function framed(piece: Uint8Array): Buffer {
  const { buffer, byteOffset: from, length } = piece
  if (newest?.buffer === buffer && newest.from === from && newest.length === length) return newest.bytes
  const bytes = Buffer.concat([sizeLine(length), piece, CRLF])
  newest = { buffer, from, length, bytes }
  return bytes
}

const sizeLine = (length: number) => Buffer.from(`${length.toString(16)}\r\n`, 'latin1')
