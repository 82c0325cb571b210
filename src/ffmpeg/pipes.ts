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

const O_CLOEXEC = 0o2000000
const F_SETPIPE_SZ = 1031
/** What Linux lets everyone have (pipe(7)); the 64 KB that pipes begin with make a frame of raw video 20 round trips. */
const PIPE_BYTES = 1024 * 1024
/** For what comes without a place of its own. */
const BUFFER_BYTES = 256 * 1024

type End = 'ours' | 'theirs'
type Pipe = Record<End, number>

/**
 * What a child reads from and writes to. Node's own would be sockets, read 64 KB at a time into new memory: with raw video
 * the garbage collector then takes more CPU than all else in this process. These are pipes, as large as the system
 * lets us have, and read into memory that is there already. On systems other than Linux they are Node's own.
 */
export class ChildPipes {
  readonly #input: Pipe | undefined
  readonly #output: Pipe | undefined
  readonly #withInput: boolean

  constructor({ withInput }: { withInput: boolean }) {
    this.#withInput = withInput
    if (process.platform !== 'linux') return
    if (withInput) this.#input = openPipe('theirs')
    this.#output = openPipe('ours')
  }

  /** For `child_process.spawn`; errors go to a pipe of Node's. */
  get stdio(): [number | 'pipe' | 'ignore', number | 'pipe', 'pipe'] {
    return [this.#withInput ? (this.#input?.theirs ?? 'pipe') : 'ignore', this.#output?.theirs ?? 'pipe', 'pipe']
  }

  /** The child has its own descriptors now, or will never have them. */
  spawned(): void {
    for (const pipe of [this.#input, this.#output]) if (pipe) close(pipe, 'theirs')
  }

  /** Our ends, from now on the caller's. The output closes when it has ended. */
  take(child: ChildProcess, sink: ByteSink): { stdin: Writable | null; stdout: Readable } {
    const stdin = this.#input ? writer(release(this.#input)) : child.stdin
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
    for (const pipe of [this.#input, this.#output]) if (pipe) close(pipe, 'ours')
  }
}

let system: { pipe2: (fds: Int32Array, flags: number) => number; fcntl: (...args: unknown[]) => number } | undefined

/** `reads` is the end that reads. */
function openPipe(reads: End): Pipe {
  const libc = koffi.load(null)
  system ??= { pipe2: libc.func('int pipe2(int *fds, int flags)'), fcntl: libc.func('int fcntl(int fd, int cmd, ...)') }
  const fds = new Int32Array(2)
  if (system.pipe2(fds, O_CLOEXEC) !== 0) throw new Error(`no pipe for a child (errno ${koffi.errno()})`)
  const [read = -1, write = -1] = fds
  // Refused when this user has many pipes; a small one works as well.
  system.fcntl(write, F_SETPIPE_SZ, 'int', PIPE_BYTES)
  return reads === 'ours' ? { ours: read, theirs: write } : { ours: write, theirs: read }
}

function release(pipe: Pipe): number {
  const fd = pipe.ours
  pipe.ours = -1
  return fd
}

function close(pipe: Pipe, end: End): void {
  if (pipe[end] >= 0) closeSync(pipe[end])
  pipe[end] = -1
}

function writer(fd: number): Writable {
  return new Socket({ fd, readable: false, writable: true })
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
