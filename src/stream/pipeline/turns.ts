import { aborted } from '../../core/resource.ts'

/** Each swap starts a runner: the newest, and one that was superseded but cannot be stopped while it imports. */
const MAX_AT_ONCE = 2

/** Limits a flood of pipeline swaps: few start a runner, and a waiting one is superseded by a newer one. */
export class Turns {
  #taken = 0
  #freed = Promise.withResolvers<void>()

  /** Resolves with a function that ends the turn. @throws the signal's reason. */
  async take(signal: AbortSignal): Promise<() => void> {
    while (this.#taken >= MAX_AT_ONCE && !signal.aborted) await Promise.race([this.#freed.promise, aborted(signal)])
    signal.throwIfAborted()
    this.#taken++
    return () => {
      this.#taken--
      this.#freed.resolve()
      this.#freed = Promise.withResolvers()
    }
  }
}
