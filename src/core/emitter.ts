import type { Log } from './log.ts'

type Listener<T> = (value: T) => void

/**
 * A typed event emitter for rare events. A listener that throws is logged and affects neither the emitter nor other
 * listeners.
 */
export class Emitter<Events extends Record<string, unknown>> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>()
  readonly #log: Log | undefined

  constructor(log?: Log) {
    this.#log = log
  }

  /** Returns a function that removes the listener. */
  on<K extends keyof Events>(event: K, listener: Listener<Events[K]>): () => void {
    const set = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, set)
    set.add(listener as Listener<never>)
    return () => set.delete(listener as Listener<never>)
  }

  emit<K extends keyof Events>(event: K, value: Events[K]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        ;(listener as Listener<Events[K]>)(value)
      } catch (err) {
        this.#log?.error({ err, event }, 'listener failed')
      }
    }
  }
}
