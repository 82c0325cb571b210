import type { ChildProcess } from 'node:child_process'
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import koffi from 'koffi'

/** Takes bytes as they come. */
export type ByteSink = {
  /** Where the next bytes shall be put; while undefined they come in a buffer that is used again. */
  room?(): Uint8Array | undefined
  /** Bytes, good only during the call unless they are in the memory that `room` gave. */
  push(chunk: Uint8Array): void
}

/** For what comes without a place of its own. */
const BUFFER_BYTES = 256 * 1024

export type ChildPipesOptions = {
  withInput: boolean
  /** So much of what goes in, and of what comes out, may be on its way; the system's own measure while absent. */
  inputBytes?: number | undefined
  outputBytes?: number | undefined
}

type Pipe = { ours: number; theirs: number }

/**
 * What a child reads from and writes to. Node's own pipes are read into new memory for every 64 KB: with raw video the
 * garbage collector then takes more CPU than all else in this process. These are read into memory that is there
 * already, and hold a whole frame where they are told to, so that neither side wakes the other for every part of it.
 * On systems other than Linux they are Node's own.
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

  /** For `child_process.spawn`; errors go to a pipe of Node's. */
  get stdio(): [number | 'pipe' | 'ignore', number | 'pipe', 'pipe'] {
    return [this.#withInput ? (this.#input?.theirs ?? 'pipe') : 'ignore', this.#output?.theirs ?? 'pipe', 'pipe']
  }

  /** The child has its own descriptors now, or will never have them. */
  spawned(): void {
    for (const pipe of [this.#input, this.#output]) if (pipe) pipe.theirs = closed(pipe.theirs)
  }

  /** Our ends, from now on the caller's. The output closes when it has ended. */
  take(child: ChildProcess, sink: ByteSink): { stdin: Writable | null; stdout: Readable } {
    const stdin = this.#input ? new Socket({ fd: release(this.#input), readable: false, writable: true }) : child.stdin
    // A broken pipe is an end like any other; the exit that follows tells why.
    stdin?.on('error', () => {})
    const stdout = this.#output
      ? reader(release(this.#output), sink)
      : child.stdout!.on('data', (chunk) => sink.push(chunk))
    return { stdin, stdout: stdout.on('error', () => {}).resume() }
  }

  /** Closes what was not taken. */
  close(): void {
    this.spawned()
    for (const pipe of [this.#input, this.#output]) if (pipe) pipe.ours = closed(pipe.ours)
  }
}

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_SNDBUF = 7
/** Beyond the system's limit, for those who may. */
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

/** Linux holds less than `bytes` where net.core.wmem_max says so (socket(7)), and takes memory for what is there only. */
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
  // The kernel doubles it, and takes a part for its bookkeeping.
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
