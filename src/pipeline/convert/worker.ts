/** A thread that converts frames: each takes milliseconds, too long for the server's main thread. */
import { parentPort } from 'node:worker_threads'
import { mapSharedFile, type SharedMemory } from '../ring/shared-memory.ts'
import type { Done, Job, Place } from './messages.ts'
import { PixelConverter } from './pixels.ts'

/** Memory of the two runners, and of their predecessors. */
const MAX_MAPPED = 4

const port = parentPort!
const converter = new PixelConverter()
const mapped = new Map<number, SharedMemory>()

function memoryOf(key: number, fd: number, bytes: number): ArrayBuffer {
  const known = mapped.get(key)
  if (known) return known.buffer
  const [oldest] = mapped.keys()
  if (oldest !== undefined && mapped.size >= MAX_MAPPED) {
    mapped.get(oldest)!.unmap()
    mapped.delete(oldest)
  }
  const memory = mapSharedFile(fd, bytes)
  mapped.set(key, memory)
  return memory.buffer
}

function pixels(place: Place): Uint8Array {
  if ('data' in place) return place.data
  return new Uint8Array(memoryOf(place.key, place.fd, place.bytes), place.offset, place.length)
}

port.on('message', ({ id, from, to, matrix }: Job) => {
  const done: Done = { id }
  try {
    converter.convert({ ...from, data: pixels(from.place) }, { ...to, data: pixels(to.place) }, matrix)
  } catch (thrown) {
    done.failed = thrown instanceof Error ? thrown.message : String(thrown)
  }
  port.postMessage(done)
})
