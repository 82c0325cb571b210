import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import koffi from 'koffi'

/** Takes a frame of 360p, or a good part of a larger one, in one read. */
const BUFFER_BYTES = 256 * 1024

let dup: ((fd: number) => number) | undefined

/**
 * Reads a child's output into one buffer again and again: a chunk is good only while `onChunk` runs. Node would make new
 * memory for every 64 KB, and with raw video the garbage collector then takes more CPU than all else in this process.
 * The returned stream closes when the output has ended; `output` itself is not to be used any more.
 */
export function readInPlace(output: Readable, onChunk: (chunk: Uint8Array) => void): Readable {
  const fd = (output as unknown as { _handle?: { fd?: number } })._handle?.fd
  if (fd === undefined || fd < 0 || process.platform === 'win32') return output.on('data', onChunk)
  dup ??= koffi.load(null).func('int dup(int fd)') as (fd: number) => number
  // The descriptor has its own reader already, which cannot be told where to read to.
  const copy = dup(fd)
  output.destroy()
  const socket = new Socket({
    fd: copy,
    readable: true,
    writable: false,
    onread: {
      buffer: Buffer.allocUnsafeSlow(BUFFER_BYTES),
      callback: (bytes, buffer) => {
        onChunk(buffer.subarray(0, bytes))
        return true
      },
    },
  })
  // A broken pipe is an end like any other; the exit that follows tells why.
  return socket.on('error', () => {}).resume()
}
