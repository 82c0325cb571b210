import { AppError } from './errors.ts'

/** Why a resource ended: by itself, because its owner asked, or because of a failure. */
export type Closed = { why: 'ended' | 'stopped' | 'failed'; error?: AppError }

/** Something with a lifetime. `closed` never rejects, and settles after its last child, socket and timer is gone. */
export interface Resource extends AsyncDisposable {
  readonly closed: Promise<Closed>
  /** Asks it to end; calling it twice has no further effect. */
  close(): Promise<Closed>
}

/** What an owner passes to a resource that it opens. */
export type Context = { signal?: AbortSignal; log: import('./log.ts').Log }

/**
 * One lifetime: what it uses, its loops, and the first reason for its end. When a loop ends or `end` is called, the
 * signal aborts, the loops are awaited, and used resources are disposed of, newest first.
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

  /** Aborts as soon as the scope begins to end. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The reason, once there is one. */
  get reason(): Closed | undefined {
    return this.#reason
  }

  /** Runs `cleanup` when the scope ends, after its loops; newest first. */
  defer(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup)
  }

  use<T extends AsyncDisposable>(resource: T): T {
    this.defer(() => resource[Symbol.asyncDispose]())
    return resource
  }

  /** Runs a loop for the scope's lifetime. Its end or failure ends the scope. */
  spawn(loop: (signal: AbortSignal) => Promise<Closed | undefined>): void {
    // Started in a later microtask, so that the caller can finish its construction first.
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

  /** Begins the end. The first reason wins. */
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

/** Resolves after `ms`, or rejects with the signal's reason if it aborts first. */
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

/** Rejects with `timeout` if `promise` has not settled after `ms`. The owner must end the work itself. */
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

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
