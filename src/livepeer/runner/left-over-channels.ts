import { lstatSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Log } from '../../core/log.ts'
import type { UrlGuard } from '../../core/url-guard.ts'
import { TrickleClient } from '../../trickle/client/http.ts'

const FILE = /^millrace-livepeer-(\d+)\.json$/
const DELETE_MS = 5000

const Urls = z.array(z.string())

/**
 * Remembers in a file which channels this server writes, so that the next one can delete those that a crash left open:
 * until then a gateway waits for output that never comes.
 */
export class LeftOverChannels {
  readonly #folder: string
  readonly #urls = new Map<object, string[]>()

  constructor(folder = tmpdir()) {
    this.#folder = folder
  }

  /** `owner` writes these channels from now on. */
  add(owner: object, urls: string[]): void {
    this.#urls.set(owner, urls)
    this.#save()
  }

  /** Its channels have been deleted. */
  remove(owner: object): void {
    if (this.#urls.delete(owner)) this.#save()
  }

  /** Deletes the channels of servers that are gone; what cannot be deleted is logged and forgotten. */
  async cleanUp(guard: UrlGuard, log: Log): Promise<void> {
    const urls = this.#files().flatMap((file) => takeUrls(file))
    const outcomes = await Promise.allSettled(urls.map((url) => deleteChannel(url, guard)))
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') log.warn({ err: outcome.reason }, 'a channel left over could not be deleted')
    }
    if (urls.length > 0) log.info({ channels: urls.length }, 'channels left over from a crash deleted')
  }

  #save(): void {
    const file = join(this.#folder, `millrace-livepeer-${process.pid}.json`)
    const urls = [...this.#urls.values()].flat()
    if (urls.length === 0) {
      rmSync(file, { force: true })
      return
    }
    const part = `${file}.part`
    rmSync(part, { force: true })
    writeFileSync(part, JSON.stringify(urls), { mode: 0o600, flag: 'wx' })
    renameSync(part, file)
  }

  /** Files of our own user whose process is gone. Our own number in a name is that of one before us. */
  #files(): string[] {
    return readdirSync(this.#folder)
      .filter((name) => {
        const pid = Number(FILE.exec(name)?.[1] ?? Number.NaN)
        if (Number.isNaN(pid) || (pid !== process.pid && isAlive(pid))) return false
        const file = lstatSync(join(this.#folder, name), { throwIfNoEntry: false })
        return file?.isFile() && (process.getuid === undefined || file.uid === process.getuid())
      })
      .map((name) => join(this.#folder, name))
  }
}

function takeUrls(file: string): string[] {
  try {
    return Urls.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    // A file that a crash cut short says nothing.
    return []
  } finally {
    rmSync(file, { force: true })
  }
}

async function deleteChannel(url: string, guard: UrlGuard): Promise<void> {
  const client = new TrickleClient(await guard.check(url, 'url'))
  try {
    await client.call('DELETE', '', {}, DELETE_MS)
  } finally {
    client.destroy()
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
