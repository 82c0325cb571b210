import { readFile, rm, writeFile } from 'node:fs/promises'
import { sleep } from '../core/resource.ts'

const POLL_MS = 200

/**
 * Waits until no other process holds the lock file, then takes it. A lock file left behind by an ended process is taken
 * over.
 */
export async function lockFile(path: string, signal: AbortSignal): Promise<{ release(): Promise<void> }> {
  for (;;) {
    signal.throwIfAborted()
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' })
      return { release: () => rm(path, { force: true }) }
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown
    }
    const holder = Number(await readFile(path, 'utf8').catch(() => 0))
    if (holder > 0 && !isAlive(holder)) await rm(path, { force: true })
    else await sleep(POLL_MS, signal)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM'
  }
}
