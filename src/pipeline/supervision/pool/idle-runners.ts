import { isDeepStrictEqual } from 'node:util'
import type { PipelineEntry } from '../../catalog/entry.ts'
import type { Values } from '../../protocol.ts'
import type { Supervisor } from '../supervisor/supervisor.ts'

type Idle = { supervisor: Supervisor; expire: NodeJS.Timeout | undefined }

/** A pipeline with the params that its runner returns to between streams. */
export type Kind = { entry: PipelineEntry; initial: Values }

export function isOfKind(supervisor: Supervisor, { entry, initial }: Kind): boolean {
  return supervisor.entry.name === entry.name && isDeepStrictEqual(supervisor.initial, initial)
}

/** Runners that wait for a stream. */
export class IdleRunners {
  readonly #idle: Idle[] = []

  /** `keepMs`: how long it is kept; undefined: without limit. */
  add(supervisor: Supervisor, keepMs?: number): void {
    const expire = keepMs === undefined ? undefined : setTimeout(() => this.#retire(supervisor), keepMs)
    this.#idle.push({ supervisor, expire })
  }

  count(kind: Kind): number {
    return this.#idle.filter(({ supervisor }) => isOfKind(supervisor, kind)).length
  }

  /** Prefers a loaded one over one that is loading. */
  take(kind: Kind): Supervisor | undefined {
    const fitting = this.#idle
      .map(({ supervisor }) => supervisor)
      .filter((supervisor) => isOfKind(supervisor, kind) && supervisor.pid !== undefined)
    const best = fitting.find(({ ready, responsive }) => ready && responsive) ?? fitting[0]
    if (best) this.remove(best)
    return best
  }

  /** True if it was there. */
  remove(supervisor: Supervisor): boolean {
    const at = this.#idle.findIndex((idle) => idle.supervisor === supervisor)
    if (at < 0) return false
    clearTimeout(this.#idle[at]!.expire)
    this.#idle.splice(at, 1)
    return true
  }

  some(test: (supervisor: Supervisor) => boolean): boolean {
    return this.#idle.some(({ supervisor }) => test(supervisor))
  }

  /** Closes those of a pipeline, whatever their params. */
  retireAll(name: string): void {
    for (const { supervisor } of [...this.#idle]) if (supervisor.entry.name === name) this.#retire(supervisor)
  }

  retireOldest(): void {
    const oldest = this.#idle[0]
    if (oldest) this.#retire(oldest.supervisor)
  }

  /** Closes all but `keep`; those still loading first. */
  thinOut(kind: Kind, keep: number): void {
    const same = this.#idle.map(({ supervisor }) => supervisor).filter((supervisor) => isOfKind(supervisor, kind))
    const best = same.sort((a, b) => Number(b.ready) - Number(a.ready))
    for (const supervisor of best.slice(keep)) this.#retire(supervisor)
  }

  /** Stops closing runners by time. */
  stopTimers(): void {
    for (const { expire } of this.#idle) clearTimeout(expire)
  }

  #retire(supervisor: Supervisor): void {
    if (this.remove(supervisor)) void supervisor.close()
  }
}
