import { isDeepStrictEqual } from 'node:util'
import { mergePatch } from '../../../codec/merge-patch.ts'
import type { UpdateMode, Values } from '../../protocol.ts'

/** The params that a new runner of a pipeline loads with, as they were given, without defaults. */
export class ParamsToLoad {
  readonly #initial: Values
  #inForce: Values
  /**
   * The initial params of a stream, or of its newest publisher, until they are in effect: the params before them are
   * somebody else's.
   */
  #start: Values | undefined
  /** An update of those, or one given while there was no runner. */
  #update: Values | undefined

  /** `initial` are the variant's own params, `first` those that the first runner loads with. */
  constructor(initial: Values, first: Values) {
    this.#initial = initial
    this.#inForce = first
  }

  get next(): Values {
    return this.#update ?? this.#start ?? this.#inForce
  }

  /** Some were given and are not in effect yet. */
  get waiting(): boolean {
    return this.#start !== undefined || this.#update !== undefined
  }

  /** Completes the params that a publisher gives. */
  whole(given: Values): Values {
    return mergePatch(this.#initial, given) as Values
  }

  inForce(params: Values): boolean {
    return !this.waiting && isDeepStrictEqual(params, this.#inForce)
  }

  /** Call before the runner is asked, because it may apply them at once. Returns a function that undoes it. */
  begin(params: Values): () => void {
    const before = [this.#start, this.#update] as const
    this.#start = params
    this.#update = undefined
    return () => {
      if (this.#start === params) [this.#start, this.#update] = before
    }
  }

  /** Returns the params as they will be. */
  update(mode: UpdateMode, value: Values): Values {
    this.#update = mode === 'replace' ? { ...this.#initial, ...value } : (mergePatch(this.next, value) as Values)
    return this.#update
  }

  applied(params: Values): void {
    this.#inForce = params
    if (isDeepStrictEqual(params, this.#start)) this.#start = undefined
    if (isDeepStrictEqual(params, this.#update)) this.settle()
  }

  /** A new runner took the waiting params. */
  taken(): void {
    this.#inForce = this.next
    this.settle()
  }

  /** The pipeline refuses them: an update is dropped, initial params are kept. */
  refused(): void {
    this.#update = undefined
  }

  /** Nothing waits any more. */
  settle(): void {
    this.#start = undefined
    this.#update = undefined
  }
}
