import { writeFileSync } from 'node:fs'
import { env } from 'node:process'
import koffi from 'koffi'
import { MARK_VARIABLE } from '../protocol.ts'

const PR_SET_PDEATHSIG = 1
const SIGKILL = 9
const SECRETS = ['AUTH_TOKEN', 'VIEW_TOKEN', 'ICE_SERVERS']

/**
 * Ties this process's life to the server's. The kernel's signal works even when author code blocks the event loop or
 * the process is stopped; the watch of the parent is for systems without it, and for a parent that died just before.
 */
export function guardLife(onOrphaned: () => void): void {
  const parent = process.ppid
  process.once('disconnect', onOrphaned)
  if (process.platform === 'linux') {
    koffi.load(null).func('int prctl(int option, ...)')(PR_SET_PDEATHSIG, 'unsigned long', SIGKILL)
    preferForKilling()
  }
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
  }, 1000).unref()
  if (!process.connected) onOrphaned()
}

/** When memory runs out the model goes first, not the server with all its streams. */
function preferForKilling(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '500')
  } catch {
    // Not allowed here; the memory watch of the server remains.
  }
}

/** Author code, and what it starts, has no use for the server's secrets; what it starts can be told by the mark. */
export function setEnvironment(mark: string): void {
  for (const name of SECRETS) delete env[name]
  env[MARK_VARIABLE] = mark
}
