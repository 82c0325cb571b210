import { request } from 'node:http'

export type Recording = AsyncDisposable & {
  /** Everything received so far. */
  bytes(): Buffer
  /** Settles when the server ends the response, or the recording is stopped; true if the server ended it normally. */
  readonly ended: Promise<boolean>
  stop(): void
}

/** Reads an endless response, such as `/out/{stream}.ts`, into memory. Rejects on any status but 200. */
export async function record(url: string, headers: Record<string, string> = {}): Promise<Recording> {
  const chunks: Buffer[] = []
  const { promise: ended, resolve: end } = Promise.withResolvers<boolean>()
  const incoming = request(url, { agent: false, headers })
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
