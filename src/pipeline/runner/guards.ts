import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { env } from 'node:process'
import koffi from 'koffi'
import { MARK_VARIABLE } from '../protocol.ts'

const PR_SET_PDEATHSIG = 1
const SIGKILL = 9

/**
 * Ends this process with the server. The kernel's signal works even when author code blocks the event loop or the
 * process is stopped; watching the parent is for systems without it, and for a parent that died just before.
 */
export function guardLife(control: Socket, onOrphaned: () => void): void {
  const parent = process.ppid
  control.once('close', onOrphaned)
  if (process.platform === 'linux') {
    koffi.load(null).func('int prctl(int option, ...)')(PR_SET_PDEATHSIG, 'unsigned long', SIGKILL)
    preferForKilling()
  }
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
  }, 1000).unref()
}

/** When memory runs out, the kernel should kill the model, not the server with all its streams. */
function preferForKilling(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '500')
  } catch {
    // Not allowed here; the server's memory watch remains.
  }
}

/** The mark identifies everything that author code starts. */
export function setMark(mark: string): void {
  env[MARK_VARIABLE] = mark
}
