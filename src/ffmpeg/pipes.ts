import type { ChildProcess } from 'node:child_process'
import { closeSync, writevSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import koffi from 'koffi'

/** Takes bytes as they come. */
export type ByteSink = {
  /** Where to put the next bytes; if undefined, they come in a buffer that is reused. */
  room?(): Uint8Array | undefined
  /** Bytes, valid only during the call unless they are in the memory that `room` returned. */
  push(chunk: Uint8Array): void
}

/** For data without a destination of its own. */
const BUFFER_BYTES = 256 * 1024

export type ChildPipesOptions = {
  withInput: boolean
  /** Pipe sizes for input and output; default: the system's. */
  inputBytes?: number | undefined
  outputBytes?: number | undefined
}

type Pipe = { ours: number; theirs: number }

/** The input of a child. While nothing waits in `stream`, bytes may be written directly to the descriptor. */
export type ChildInput = { stream: Writable; fd: number | undefined }

/**
 * A child's stdin and stdout. Node's own pipes allocate memory for every 64 KB read: with raw video, garbage collection
 * then takes more CPU than everything else in this process. These read into existing memory, and can hold a whole
 * frame, so that the two sides do not wake each other for every part of it. On systems other than Linux, Node's own
 * pipes are used.
 */
export class ChildPipes {
  readonly #input: Pipe | undefined
  readonly #output: Pipe | undefined
  readonly #withInput: boolean

  constructor({ withInput, inputBytes, outputBytes }: ChildPipesOptions) {
    this.#withInput = withInput
    if (process.platform !== 'linux') return
    if (withInput) this.#input = openPipe('ours', inputBytes)
    this.#output = openPipe('theirs', outputBytes)
  }

  /** For `child_process.spawn`; stderr is a pipe of Node's. */
  get stdio(): [number | 'pipe' | 'ignore', number | 'pipe', 'pipe'] {
    return [this.#withInput ? (this.#input?.theirs ?? 'pipe') : 'ignore', this.#output?.theirs ?? 'pipe', 'pipe']
  }

  /** The child has its own descriptors now, or never will. */
  spawned(): void {
    for (const pipe of [this.#input, this.#output]) if (pipe) pipe.theirs = closed(pipe.theirs)
  }

  /** Our ends, which belong to the caller from now on. The output closes when it has ended. */
  take(child: ChildProcess, sink: ByteSink): { input: ChildInput | undefined; stdout: Readable } {
    const fd = this.#input && release(this.#input)
    const stream = fd === undefined ? child.stdin : new Socket({ fd, readable: false, writable: true })
    // A broken pipe is a normal end; the exit that follows says why.
    stream?.on('error', () => {})
    const stdout = this.#output
      ? reader(release(this.#output), sink)
      : child.stdout!.on('data', (chunk) => sink.push(chunk))
    return { input: stream ? { stream, fd } : undefined, stdout: stdout.on('error', () => {}).resume() }
  }

  /** Closes what was not taken. */
  close(): void {
    this.spawned()
    for (const pipe of [this.#input, this.#output]) if (pipe) pipe.ours = closed(pipe.ours)
  }
}

/**
 * Writes as much to a pipe as fits, and returns the rest. A stream does the same, but costs several times as much for a
 * whole frame, thirty times a second. An error of the pipe shows in the stream.
 */
export function writeAtOnce(fd: number, parts: Uint8Array[]): Uint8Array[] {
  let written: number
  try {
    written = writevSync(fd, parts)
  } catch {
    return parts
  }
  const rest: Uint8Array[] = []
  for (const part of parts) {
    if (written < part.length) rest.push(written > 0 ? part.subarray(written) : part)
    written = Math.max(0, written - part.length)
  }
  return rest
}

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_SNDBUF = 7
/** Exceeds the system's limit, for privileged processes. */
const SO_SNDBUFFORCE = 32

type Libc = {
  socketpair(family: number, type: number, protocol: number, fds: Int32Array): number
  setsockopt(fd: number, level: number, name: number, value: Int32Array, bytes: number): number
}

let libc: Libc | undefined

function loadLibc(): Libc {
  const library = koffi.load(null)
  return {
    socketpair: library.func('int socketpair(int family, int type, int protocol, int *fds)') as Libc['socketpair'],
    setsockopt: library.func(
      'int setsockopt(int fd, int level, int name, int *value, uint32_t bytes)',
    ) as Libc['setsockopt'],
  }
}

/**
 * Linux allows less than `bytes` if net.core.wmem_max says so (socket(7)), and allocates memory only for data present.
 */
function openPipe(writer: keyof Pipe, bytes: number | undefined): Pipe {
  libc ??= loadLibc()
  const fds = new Int32Array(2)
  if (libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) !== 0)
    throw new Error(`no pipe for a child (errno ${koffi.errno()})`)
  const [ours = -1, theirs = -1] = fds
  const pipe = { ours, theirs }
  if (bytes !== undefined) enlarge(pipe[writer], bytes, libc)
  return pipe
}

function enlarge(fd: number, bytes: number, { setsockopt }: Libc): void {
  // The kernel doubles it and uses a part for bookkeeping.
  const size = Int32Array.of(Math.ceil((bytes * 1.1) / 2))
  const set = (option: number) => setsockopt(fd, SOL_SOCKET, option, size, size.byteLength) === 0
  if (!set(SO_SNDBUFFORCE)) set(SO_SNDBUF)
}

function release(pipe: Pipe): number {
  const fd = pipe.ours
  pipe.ours = -1
  return fd
}

function closed(fd: number): number {
  if (fd >= 0) closeSync(fd)
  return -1
}

function reader(fd: number, sink: ByteSink): Readable {
  const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  return new Socket({
    fd,
    readable: true,
    writable: false,
    onread: {
      buffer: () => sink.room?.() ?? buffer,
      callback: (bytes, into) => {
        sink.push(into.subarray(0, bytes))
        return true
      },
    },
  })
}
