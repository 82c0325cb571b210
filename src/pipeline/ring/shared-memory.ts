import { closeSync, ftruncateSync, openSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import koffi from 'koffi'
import { AppError } from '../../core/errors.ts'

const PROT_READ_WRITE = 3
const MAP_SHARED = 1
const MAP_FAILED = 2n ** 64n - 1n
const MFD_CLOEXEC = 1
const MFD_ALLOW_SEALING = 2
const F_ADD_SEALS = 1033
const SEAL_SEAL_SHRINK_GROW = 1 | 2 | 4

/** Memory that several processes of one machine map. */
export type SharedMemory = {
  readonly buffer: ArrayBuffer
  /** Unmaps it; every view of `buffer` has length 0 afterwards. */
  unmap(): void
}

/** Memory that was never unmapped is freed when nothing refers to it any more. */
const forgotten = new FinalizationRegistry<{ pointer: bigint; bytes: number }>(({ pointer, bytes }) => {
  munmap(pointer, bytes)
})

const libc = koffi.load(null)
const mmap = libc.func('void *mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)')
const munmap = libc.func('int munmap(void *addr, size_t length)')

/**
 * A file descriptor of new, zeroed memory without a name, so that none of it can be left behind. On Linux it is sealed:
 * no process that gets it can change its size and so break the others. Pages take no memory until they are used.
 */
export function createSharedFile(bytes: number): number {
  const fd = process.platform === 'linux' ? createMemfd() : createUnlinked()
  try {
    ftruncateSync(fd, bytes)
    if (process.platform === 'linux')
      libc.func('int fcntl(int fd, int cmd, ...)')(fd, F_ADD_SEALS, 'int', SEAL_SEAL_SHRINK_GROW)
    return fd
  } catch (cause) {
    closeSync(fd)
    throw cause
  }
}

function createMemfd(): number {
  const fd: number = libc.func('int memfd_create(const char *name, unsigned int flags)')(
    'frames',
    MFD_CLOEXEC | MFD_ALLOW_SEALING,
  )
  return fd >= 0 ? fd : createUnlinked()
}

function createUnlinked(): number {
  const path = join(tmpdir(), `millrace-frames-${process.pid}-${Math.random().toString(36).slice(2)}`)
  const fd = openSync(path, 'wx+', 0o600)
  unlinkSync(path)
  return fd
}

/** How another thread of this process, or another process, finds the memory. */
export type Place = {
  /** Identifies this memory within the process. */
  key: number
  fd: number
  /** Size of the whole memory. */
  bytes: number
  /** Offset of the data in it. */
  offset: number
}

const places = new WeakMap<ArrayBufferLike, Omit<Place, 'offset'>>()
let lastKey = 0

/** New shared memory that is found by its descriptor, which stays open until it is unmapped. */
export function openSharedMemory(bytes: number): SharedMemory & { fd: number } {
  const fd = createSharedFile(bytes)
  let memory: SharedMemory
  try {
    memory = mapSharedFile(fd, bytes)
  } catch (thrown) {
    closeSync(fd)
    throw thrown
  }
  const { buffer } = memory
  places.set(buffer, { key: ++lastKey, fd, bytes })
  let open = true
  return {
    buffer,
    fd,
    unmap() {
      if (open) closeSync(fd)
      open = false
      memory.unmap()
    },
  }
}

/** Undefined for data outside the memory of `openSharedMemory`. */
export function placeOf(data: Uint8Array): Place | undefined {
  const place = places.get(data.buffer)
  return place && { ...place, offset: data.byteOffset }
}

/** Maps a shared file for reading and writing. The descriptor may be closed afterwards. */
export function mapSharedFile(fd: number, bytes: number): SharedMemory {
  const pointer: bigint | null = mmap(null, bytes, PROT_READ_WRITE, MAP_SHARED, fd, 0)
  if (pointer === null || pointer === MAP_FAILED)
    throw new AppError('internal', `could not map ${bytes} bytes of shared memory (errno ${koffi.errno()})`)
  const buffer: ArrayBuffer = koffi.view(pointer, bytes)
  forgotten.register(buffer, { pointer, bytes }, buffer)
  let mapped = true
  return {
    buffer,
    unmap() {
      if (!mapped) return
      mapped = false
      forgotten.unregister(buffer)
      // Detached first, so that a late access fails in JavaScript instead of crashing the process.
      buffer.transfer()
      munmap(pointer, bytes)
    },
  }
}
