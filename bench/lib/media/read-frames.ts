import type { Readable } from 'node:stream'

/** Reads frames from a stream, each into its own memory. */
export function readFrames(stream: Readable, size: number, onFrame: (frame: Uint8Array) => void): void {
  let frame = Buffer.allocUnsafeSlow(size)
  let filled = 0
  stream.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + size - filled)
      frame.set(part, filled)
      at += part.length
      filled += part.length
      if (filled < size) continue
      onFrame(frame)
      frame = Buffer.allocUnsafeSlow(size)
      filled = 0
    }
  })
}
