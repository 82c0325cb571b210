import { request } from 'node:http'

export type Recording = AsyncDisposable & {
  /** What came so far. */
  bytes(): Buffer
  /** Settles when the server ends the answer, or the recording is stopped; true when the server ended it in order. */
  readonly ended: Promise<boolean>
  stop(): void
}

/** Reads an endless answer, such as `/out/{stream}.ts`, into memory. Fails on any status but 200. */
export async function record(url: string): Promise<Recording> {
  const chunks: Buffer[] = []
  const { promise: ended, resolve: end } = Promise.withResolvers<boolean>()
  const incoming = request(url, { agent: false })
  await new Promise<void>((resolve, reject) => {
    incoming.once('error', reject)
    incoming.once('response', (response) => {
      if (response.statusCode !== 200) {
        response.resume()
        reject(new Error(`${url} answered ${response.statusCode}`))
        return
      }
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('close', () => end(response.complete))
      response.on('error', () => {})
      resolve()
    })
    incoming.end()
  })
  incoming.on('error', () => {})
  const stop = () => incoming.destroy()
  return {
    bytes: () => Buffer.concat(chunks),
    ended,
    stop,
    [Symbol.asyncDispose]: async () => {
      stop()
      await ended
    },
  }
}
