/**
 * A typed event emitter.
 * @template {Record<string, unknown>} Events
 */
export class Emitter {
  /** @type {Map<keyof Events, Set<(detail: any) => void>>} */
  #listeners = new Map()

  /**
   * Calls `listener` for each event, until the returned function is called or the signal aborts.
   * @template {keyof Events} Type
   * @param {Type} type
   * @param {(detail: Events[Type]) => void} listener
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {() => void}
   */
  on(type, listener, { signal } = {}) {
    const listeners = this.#listeners.get(type) ?? new Set()
    this.#listeners.set(type, listeners)
    const off = () => {
      listeners.delete(listener)
    }
    if (signal?.aborted) return off
    listeners.add(listener)
    signal?.addEventListener('abort', off, { once: true })
    return off
  }

  /**
   * @template {keyof Events} Type
   * @param {Type} type
   * @param {Events[Type]} detail
   * @protected
   */
  emit(type, detail) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(detail)
      } catch (error) {
        // A listener that throws must not keep the others from being called.
        reportError(error)
      }
    }
  }
}
