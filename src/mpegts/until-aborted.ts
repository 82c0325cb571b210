/**
 * Yields the values of `iterable`, and ends as soon as the signal aborts, even while the next value is awaited. The
 * iterable is then told to return, but not awaited.
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
    // It may fail because its source is gone; nobody needs it any more.
    iterator.return?.().then(undefined, () => {})
  }
}
