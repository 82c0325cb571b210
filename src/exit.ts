import koffi from 'koffi'

/** For what listens for the exit. */
const SECONDS = 3

/**
 * Ends the process. Everything is closed by then, and Node's own way out waits for its compiler threads, now and then for
 * good (nodejs/node#54918): the listeners for the exit are told, and the system ends the process. `orderly` takes Node's
 * way all the same; profiles are written there.
 */
export function exitProcess(code: number, { orderly = false } = {}): never {
  if (process.platform === 'linux') {
    const libc = koffi.load(null)
    libc.func('uint32_t alarm(uint32_t seconds)')(SECONDS)
    if (!orderly) {
      process.exitCode = code
      process.emit('exit', code)
      libc.func('void _exit(int status)')(code)
    }
  }
  process.exit(code)
}
