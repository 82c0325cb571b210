import koffi from 'koffi'

/** Everything is closed by then; what is left is Node's own. */
const SECONDS = 3

/**
 * Ends the process. Node waits for its compiler threads then, and once in a great while for good
 * (nodejs/node#54918): the system ends it by SIGALRM instead of leaving that to whoever waits for it.
 */
export function leave(code: number): never {
  if (process.platform !== 'win32') koffi.load(null).func('uint32_t alarm(uint32_t seconds)')(SECONDS)
  process.exit(code)
}
