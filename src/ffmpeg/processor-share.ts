import { readdirSync, readFileSync } from 'node:fs'

/** CPU time of a process since it started. */
export type ProcessorShare = {
  /** Sum over all threads, in milliseconds. */
  ranMs: number
  /**
   * How long the thread that waited most was ready to run without getting CPU, in milliseconds. A current wait is
   * counted when it is over.
   */
  waitedMs: number
  /** A thread runs or is ready to. */
  runnable: boolean
}

const NS_PER_MS = 1e6

/** `undefined` if the system does not report it, or the process is gone. */
export function processorShare(pid: number): ProcessorShare | undefined {
  const share = { ranMs: 0, waitedMs: 0, runnable: false }
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const place = `/proc/${pid}/task/${thread}`
      const [ran, waited] = readFileSync(`${place}/schedstat`, 'utf8').split(' ')
      share.ranMs += Number(ran) / NS_PER_MS
      share.waitedMs = Math.max(share.waitedMs, Number(waited) / NS_PER_MS)
      // The state follows the name, which may contain spaces and brackets.
      share.runnable ||= /\) R [^)]*$/.test(readFileSync(`${place}/stat`, 'utf8'))
    }
  } catch {
    return undefined
  }
  return share
}
