import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Logs of the programs, one file each, in a folder; without a folder nothing is kept. */
export class Logs implements Disposable {
  readonly #folder: string | undefined
  readonly #files = new Map<string, number>()

  constructor(folder: string | undefined) {
    this.#folder = folder
    if (folder !== undefined) mkdirSync(folder, { recursive: true })
  }

  get kept(): boolean {
    return this.#folder !== undefined
  }

  /** For a child whose output nobody else reads. */
  stdio(name: string): ['ignore', number | 'ignore', number | 'ignore'] {
    const file = this.#file(name) ?? 'ignore'
    return ['ignore', file, file]
  }

  /** Adds to a file; a later call with the same name goes on in it. */
  write(name: string, text: string): void {
    const file = this.#file(name)
    if (file !== undefined) writeSync(file, text)
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.values()) closeSync(file)
    this.#files.clear()
  }

  #file(name: string): number | undefined {
    if (this.#folder === undefined) return undefined
    const file = this.#files.get(name) ?? openSync(join(this.#folder, `${name}.log`), 'a')
    this.#files.set(name, file)
    return file
  }
}
