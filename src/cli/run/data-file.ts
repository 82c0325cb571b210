import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { AppError } from '../../core/errors.ts'

/** The pipeline's messages as JSON lines, in a file that gets its name once it is complete. */
export class DataFile implements Disposable {
  readonly #path: string
  readonly #temporary: string
  #file: number | undefined

  private constructor(path: string) {
    this.#path = path
    this.#temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.partial`)
    this.#file = openSync(this.#temporary, 'wx')
  }

  /** @throws AppError `invalid-request` for a name that cannot be used. */
  static open(path: string): DataFile {
    const folder = dirname(resolve(path))
    if (!existsSync(folder)) throw new AppError('invalid-request', `--data ${path}: there is no folder ${folder}`)
    return new DataFile(path)
  }

  write(pts: number, data: unknown): void {
    if (this.#file !== undefined) writeSync(this.#file, `${JSON.stringify({ pts, data })}\n`)
  }

  /** Completes the file and moves it into place. */
  finish(): void {
    if (this.#file === undefined) return
    fsyncSync(this.#file)
    this.#close()
    renameSync(this.#temporary, this.#path)
  }

  [Symbol.dispose](): void {
    this.#close()
    rmSync(this.#temporary, { force: true })
  }

  #close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }
}
