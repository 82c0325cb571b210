import { randomBytes } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Log } from '../../core/log.ts'
import type { UrlGuard } from '../../core/url-guard.ts'
import { TrickleClient } from '../../trickle/client/http.ts'

const FILE = /^millrace-livepeer-(\d+)(?:-[0-9a-f]+)?\.json$/
const DELETE_MS = 5000

const Urls = z.array(z.string())

/**
 * Records in a file which channels this server writes, so that its successor can delete those that a crash left open:
 * until then a gateway waits for output that never comes.
 */
export class LeftOverChannels {
  readonly #folder: string
  readonly #urls = new Map<object, string[]>()
  readonly #log: Log | undefined
  #name = `millrace-livepeer-${process.pid}.json`

  constructor(folder = tmpdir(), log?: Log) {
    this.#folder = folder
    this.#log = log
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

  /** Deletes the channels of servers that are gone; failures are logged and forgotten. */
  async cleanUp(guard: UrlGuard, log: Log): Promise<void> {
    const urls = this.#files(log).flatMap((file) => takeUrls(file, log))
    const outcomes = await Promise.allSettled(urls.map((url) => deleteChannel(url, guard)))
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') log.warn({ err: outcome.reason }, 'could not delete a leftover channel')
    }
    if (urls.length > 0) log.info({ channels: urls.length }, 'deleted channels left over from a crash')
  }

  /** The file is only needed after a crash, so a failure to write it affects no stream. */
  #save(): void {
    try {
      this.#write()
    } catch {
      // In a shared folder, a file of another user may already have the name.
      this.#name = `millrace-livepeer-${process.pid}-${randomBytes(6).toString('hex')}.json`
      try {
        this.#write()
      } catch (err) {
        this.#log?.warn({ err }, 'could not save the list of channels in use; a crash would leave them open')
      }
    }
  }

  #write(): void {
    const file = join(this.#folder, this.#name)
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

  #names(log: Log): string[] {
    try {
      return readdirSync(this.#folder)
    } catch (err) {
      log.warn({ err }, 'could not look for lists of channels in use')
      return []
    }
  }

  /** Files of our own user whose process is gone. Our own process id in a name belongs to a predecessor. */
  #files(log: Log): string[] {
    return this.#names(log)
      .filter((name) => {
        const pid = Number(FILE.exec(name)?.[1] ?? Number.NaN)
        if (Number.isNaN(pid) || (pid !== process.pid && isAlive(pid))) return false
        const file = lstatSync(join(this.#folder, name), { throwIfNoEntry: false })
        return file?.isFile() && (process.getuid === undefined || file.uid === process.getuid())
      })
      .map((name) => join(this.#folder, name))
  }
}

function takeUrls(file: string, log: Log): string[] {
  try {
    return Urls.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    // Truncated by a crash.
    return []
  } finally {
    try {
      rmSync(file, { force: true })
    } catch (err) {
      log.warn({ err }, 'could not remove the list of channels in use')
    }
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
