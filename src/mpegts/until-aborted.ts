/**
 * Yields what `iterable` yields and ends as soon as the signal is aborted, even while the next value is waited for. The
 * iterable is then told to return, and not waited for.
 */
export async function* untilAborted<T>(iterable: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = iterable[Symbol.asyncIterator]()
  let stop = () => {}
  const onAbort = () => stop()
  signal.addEventListener('abort', onAbort)
  try {
    while (!signal.aborted) {
      const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<T> | undefined>()
      stop = () => resolve(undefined)
      iterator.next().then(resolve, reject)
      const result = await promise
      if (!result || result.done) return
      yield result.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    // It may fail because what it reads from is gone; nobody needs it any more.
    iterator.return?.().then(undefined, () => {})
  }
}
