import { mkdir, readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../core/errors.ts'

export type FolderLimits = {
  /** Limit of all recordings together. */
  maxBytes: number
  /** Space on the disk that is kept free. */
  minFreeBytes: number
}

/** A finished or growing recording. */
export type StoredFile = { file: string; stream: string; bytes: number; startedAt: number }

/** `{stream}-{start, UTC}.mp4`, as in `demo-20261129T232003120Z.mp4`. */
const FILE = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,63})-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z\.mp4$/

/** The folder of recordings (`RECORD_DIR`); other files in it are left alone. */
export class RecordingFolder {
  readonly #path: string
  readonly #limits: FolderLimits

  constructor(path: string, limits: FolderLimits) {
    this.#path = path
    this.#limits = limits
  }

  fileName(stream: string, at: Date): string {
    return `${stream}-${at.toISOString().replace(/[-:.]/g, '')}.mp4`
  }

  /** The path of a recording; undefined for a name that no recording can have. */
  pathOf(file: string): string | undefined {
    return FILE.test(file) ? join(this.#path, file) : undefined
  }

  /** Newest first. */
  async list(): Promise<StoredFile[]> {
    const names = await readdir(this.#path).catch(() => [])
    const files = await Promise.all(names.map((name) => this.#look(name)))
    return files.filter((file) => file !== undefined).sort((a, b) => b.startedAt - a.startedAt)
  }

  async #look(file: string): Promise<StoredFile | undefined> {
    const match = FILE.exec(file)
    const found = match && (await stat(join(this.#path, file)).catch(() => undefined))
    if (!match || !found?.isFile()) return undefined
    const [, stream = '', year, month, day, hour, minute, second, ms] = match
    const startedAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`)
    return { file, stream, bytes: found.size, startedAt }
  }

  /** @throws AppError `capacity`, which names the limit and its setting, or says that the folder is not writable. */
  async checkRoom(): Promise<void> {
    const { maxBytes, minFreeBytes } = this.#limits
    try {
      await mkdir(this.#path, { recursive: true })
    } catch (cause) {
      throw new AppError('capacity', 'the folder for recordings cannot be created (RECORD_DIR)', { cause })
    }
    const { bavail, bsize } = await statfs(this.#path)
    if (bavail * bsize < minFreeBytes) {
      const megabytes = Math.round(minFreeBytes / 1024 / 1024)
      throw new AppError(
        'capacity',
        `the disk of the recordings has less than ${megabytes} MB left (RECORD_MIN_FREE_MB)`,
      )
    }
    const used = (await this.list()).reduce((sum, { bytes }) => sum + bytes, 0)
    if (used >= maxBytes) {
      const megabytes = Math.round(maxBytes / 1024 / 1024)
      throw new AppError(
        'capacity',
        `the recordings take ${megabytes} MB, as much as they may (RECORD_MAX_MB); delete some`,
      )
    }
  }
}
