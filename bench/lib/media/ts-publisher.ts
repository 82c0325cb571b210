import { type IncomingMessage, request } from 'node:http'
import { TsWriter } from '../../../src/codec/mpegts/writer.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'

/** Publishes access units as one MPEG-TS body, each with one immediate write. */
export class TsPublisher implements AsyncDisposable {
  readonly #request
  readonly #writer = new TsWriter()
  readonly #closed: Promise<void>
  /** The server's answer when it ended the publication. */
  refusal: string | undefined

  constructor(url: string) {
    this.#request = request(url, { method: 'POST', agent: false, headers: { 'content-type': 'video/mp2t' } })
    this.#request.setNoDelay(true)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#closed = promise
    this.#request.on('error', () => resolve())
    this.#request.once('close', resolve)
    this.#request.once('response', (response) => void this.#answered(response))
  }

  write(packet: EncodedPacket): void {
    const bytes = this.#writer.write(packet)
    if (this.#request.writable) this.#request.write(bytes)
  }

  end(): void {
    this.#request.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#request.destroy()
    await this.#closed
  }

  async #answered(response: IncomingMessage): Promise<void> {
    let text = ''
    try {
      for await (const chunk of response) text += String(chunk)
    } catch {
      // The connection ended with the publication.
    }
    if (response.statusCode !== 200) this.refusal = text
  }
}
