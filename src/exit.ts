import koffi from 'koffi'

/** Time for exit listeners. */
const SECONDS = 3

/**
 * Ends the process. Everything is closed by then, and Node's own exit waits for its compiler threads, occasionally for
 * ever (nodejs/node#54918): exit listeners are called, and the system ends the process. `orderly` uses Node's exit all
 * the same, which writes profiles.
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
