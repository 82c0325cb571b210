import { isDeepStrictEqual } from 'node:util'
import type { Context } from '../../core/resource.ts'
import { type Runner, type RunnerOptions, RunnerProcess } from './process.ts'
import { SharedProcess } from './shared-process.ts'

type Known = {
  options: ProcessOptions
  /** Settles when it has said how many streams it takes, or is gone. */
  imported: PromiseWithResolvers<void>
  /** Undefined while it starts. */
  shared: SharedProcess | undefined
}

export type ProcessOptions = RunnerOptions & {
  /** Path of the stream's memory in /proc; undefined on systems without it. */
  framesPath?: string | undefined
  /** Modification time of the code file. */
  mtimeMs: number
  /** The stream gets a process of its own. */
  alone: boolean
}

/** Processes of pipelines: a stream joins one that has its model loaded and a free seat, or gets a new one. */
export class Processes {
  readonly #known = new Set<Known>()
  /** Seats per process of a pipeline, once a process has reported them. */
  readonly #streams = new Map<string, number>()

  async open(options: ProcessOptions, context: Context): Promise<Runner> {
    const { framesPath, alone } = options
    if (framesPath && !alone) {
      const there = await this.#withRoom(options)
      if (there) return there.join(options, framesPath)
    }
    return await this.#start(options, context)
  }

  /** The code of a pipeline has changed. */
  renew(name: string): void {
    for (const known of this.#known) if (known.options.entry.name === name) this.#known.delete(known)
  }

  async #withRoom(options: ProcessOptions): Promise<SharedProcess | undefined> {
    if ((this.#streams.get(options.entry.name) ?? 1) < 2) return undefined
    for (;;) {
      const alike = [...this.#known].filter((known) => isAlike(known.options, options))
      const free = alike.find(({ shared }) => shared?.streams !== undefined && shared.free)
      if (free) return free.shared
      const starting = alike.find(({ shared }) => shared?.streams === undefined)
      if (!starting) return undefined
      await starting.imported.promise
    }
  }

  async #start(options: ProcessOptions, context: Context): Promise<Runner> {
    // Registered now, so that streams that start at the same time wait for it.
    const known: Known = { options, imported: Promise.withResolvers(), shared: undefined }
    if (!options.alone) this.#known.add(known)
    const forget = () => {
      this.#known.delete(known)
      known.imported.resolve()
    }
    let runner: RunnerProcess
    try {
      runner = await RunnerProcess.open(options, context)
    } catch (thrown) {
      forget()
      throw thrown
    }
    known.shared = new SharedProcess(runner, context)
    runner.events.on('message', (message) => {
      if (message.type !== 'imported') return
      this.#streams.set(options.entry.name, message.description.streams)
      known.imported.resolve()
    })
    void runner.closed.then(forget)
    return known.shared.first(options)
  }
}

function isAlike(options: ProcessOptions, wanted: ProcessOptions): boolean {
  const { entry, initial, modelDir, mtimeMs } = wanted
  const same = options.entry.name === entry.name && options.modelDir === modelDir && options.mtimeMs === mtimeMs
  return same && isDeepStrictEqual(options.initial, initial)
}
