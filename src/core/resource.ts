import { AppError } from './errors.ts'

/** Why a life ended: by itself, because its owner asked, or because something broke. */
export type Closed = { why: 'ended' | 'stopped' | 'failed'; error?: AppError }

/** Something that lives. `closed` never rejects and settles after its last child, socket and timer is gone. */
export interface Resource extends AsyncDisposable {
  readonly closed: Promise<Closed>
  /** Asks it to end; twice is once. */
  close(): Promise<Closed>
}

/** What a thing that is opened gets from its owner. */
export type Context = { signal?: AbortSignal; log: import('./log.ts').Log }

/**
 * The frame of one life: what it uses, the loops it runs, and the first reason for which it ended. When a loop ends or
 * `end` is called, the signal is aborted, the loops are awaited, and what was used is disposed of, newest first.
 */
export class Scope implements Resource {
  readonly closed: Promise<Closed>
  readonly #controller = new AbortController()
  readonly #loops = new Set<Promise<void>>()
  readonly #cleanups: (() => unknown)[] = []
  readonly #settle: (closed: Closed) => void
  #reason: Closed | undefined

  constructor(parent?: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<Closed>()
    this.closed = promise
    this.#settle = resolve
    if (parent) {
      const stop = () => this.end({ why: 'stopped' })
      if (parent.aborted) queueMicrotask(stop)
      else {
        parent.addEventListener('abort', stop, { once: true })
        this.defer(() => parent.removeEventListener('abort', stop))
      }
    }
  }

  /** Aborted as soon as the scope begins to end. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The reason, once there is one. */
  get reason(): Closed | undefined {
    return this.#reason
  }

  /** Runs when the scope ends, after its loops; newest first. */
  defer(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup)
  }

  use<T extends AsyncDisposable>(resource: T): T {
    this.defer(() => resource[Symbol.asyncDispose]())
    return resource
  }

  /** Runs a loop for the scope's life. Its end, or its failure, is the scope's end. */
  spawn(loop: (signal: AbortSignal) => Promise<Closed | undefined>): void {
    // Started in a later microtask, so that whoever spawns first finishes what it is building.
    const run = Promise.resolve()
      .then(() => loop(this.signal))
      .then(
        (closed) => this.end(closed ?? { why: 'ended' }),
        (thrown) =>
          this.end(this.signal.aborted ? { why: 'stopped' } : { why: 'failed', error: AppError.from(thrown) }),
      )
    this.#loops.add(run)
    void run.then(() => this.#loops.delete(run))
  }

  /** Begins the end. The first reason wins and is kept. */
  end(reason: Closed): void {
    if (this.#reason) return
    this.#reason = reason
    this.#controller.abort()
    void this.#finish()
  }

  async #finish(): Promise<void> {
    while (this.#loops.size > 0) await Promise.all(this.#loops)
    for (const cleanup of this.#cleanups.reverse()) {
      try {
        await cleanup()
      } catch (thrown) {
        this.#reason = this.#reason?.error ? this.#reason : { why: 'failed', error: AppError.from(thrown) }
      }
    }
    this.#settle(this.#reason ?? { why: 'ended' })
  }

  close(): Promise<Closed> {
    this.end({ why: 'stopped' })
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Resolves after `ms`, or rejects with the signal's reason when it is aborted first. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  if (signal?.aborted) {
    reject(signal.reason)
    return promise
  }
  const onAbort = () => {
    clearTimeout(timer)
    reject(signal?.reason)
  }
  const timer = setTimeout(() => {
    signal?.removeEventListener('abort', onAbort)
    resolve()
  }, ms)
  signal?.addEventListener('abort', onAbort, { once: true })
  return promise
}

/** Fails with `timeout` when `promise` has not settled after `ms`. The work itself must be ended by its owner. */
export async function deadline<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  const timer = new AbortController()
  try {
    return await Promise.race([
      promise,
      sleep(ms, timer.signal).then(() => {
        throw new AppError('timeout', `${what} took longer than ${ms} ms`, { retryable: true })
      }),
    ])
  } finally {
    timer.abort()
  }
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
