import { statSync } from 'node:fs'
import type { Context } from '../../../core/resource.ts'
import type { PipelineEntry } from '../../catalog/entry.ts'
import { KeptDescriptions } from '../../host/kept-descriptions.ts'
import type { Reaper } from '../../host/reaper.ts'
import type { Description, Values } from '../../protocol.ts'
import { describeRunner } from './prepare.ts'

/** A pipeline that could not be described is asked again after this time, or when its file has changed. */
const DESCRIBE_AGAIN_MS = 10_000

type Known = { mtimeMs: number; description: Promise<Description> }

/** Descriptions of pipelines: each is asked in a short-lived runner, and the answer is cached. */
export class Descriptions {
  readonly #modelDir: string
  readonly #reaper: Reaper
  readonly #kept: KeptDescriptions | undefined
  readonly #known = new Map<string, Known>()

  /** `folder`: where descriptions of Python pipelines are kept between servers; undefined: not kept. */
  constructor({ modelDir, folder }: { modelDir: string; folder: string | undefined }, reaper: Reaper) {
    this.#modelDir = modelDir
    this.#reaper = reaper
    this.#kept = folder === undefined ? undefined : new KeptDescriptions(folder)
  }

  /** `initial` are its params when a stream sets none. Rejects with `pipeline-failed`. */
  async of(entry: PipelineEntry, initial: Values, context: Context): Promise<Description> {
    const key = `${entry.name} ${JSON.stringify(initial)}`
    const mtimeMs = mtimeOf(entry)
    let known = this.#known.get(key)
    if (known?.mtimeMs !== mtimeMs) {
      known = { mtimeMs, description: this.#ask(entry, initial, context) }
      this.#known.set(key, known)
      // Anyone may ask, and each time a process would start only to fail as before.
      const { description } = known
      const forget = () => this.#known.get(key)?.description === description && this.#known.delete(key)
      description.catch(() => setTimeout(forget, DESCRIBE_AGAIN_MS).unref())
    }
    return await known.description
  }

  forget(name: string): void {
    for (const key of this.#known.keys()) if (key.startsWith(`${name} `)) this.#known.delete(key)
  }

  async #ask(entry: PipelineEntry, initial: Values, context: Context): Promise<Description> {
    const known = this.#kept?.read(entry, initial)
    if (known) return known
    const request = { entry, initial, modelDir: this.#modelDir, reaper: this.#reaper }
    const description = await describeRunner(request, context)
    this.#kept?.write(entry, initial, description)
    return description
  }
}

/** Modification time of its code file; 0 if there is no file. */
export function mtimeOf({ entryFile }: PipelineEntry): number {
  return statSync(entryFile, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
