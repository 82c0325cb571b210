import type { ServerResponse } from 'node:http'
import * as header from '../headers.ts'
import type { Channel } from './channel.ts'
import { ChunkedBody } from './chunked-body.ts'
import type { ServedChannels } from './options.ts'
import type { Segment, SegmentCursor } from './segment.ts'

/** Answers a segment read, contract §1.5. */
export function sendSegment(
  server: ServedChannels,
  channel: Channel,
  requested: number,
  response: ServerResponse,
): void {
  // Its client may have left already; `close` will not be emitted again.
  if (response.destroyed) return
  const latest = channel.head
  const { segment } = channel.locate(requested)
  if (!segment) {
    refuseMissing(channel, requested, response)
    return
  }
  if (server.readers >= server.options.maxReaders) {
    const text = `all ${server.options.maxReaders} readers are in use`
    response.writeHead(503, { 'Content-Type': 'text/plain; charset=utf-8', 'Retry-After': '5' }).end(text)
    return
  }
  new SegmentDownload(server, channel, segment, latest, response).pump()
}

/** `Lp-Trickle-Seq` is the number as requested, so that a client can match the answer to its request. */
function refuseMissing(channel: Channel, requested: number, response: ServerResponse): void {
  const missed = requested >= 0 && requested < channel.head ? channel.head - requested : 0
  channel.counters.missed += missed
  if (channel.closed) response.setHeader(header.CLOSED, 'terminated')
  if (missed > 0) response.setHeader(header.MISSED, missed)
  response.writeHead(channel.closed ? 200 : header.NO_SUCH_SEGMENT, 'Entry not found', {
    'Content-Type': 'text/plain; charset=utf-8',
    [header.SEQ]: requested,
    [header.LATEST]: channel.head,
  })
  response.end('Entry not found')
}

/** One reader's response: nothing is sent before the segment's first byte, then every byte as it comes. */
class SegmentDownload {
  readonly #server: ServedChannels
  readonly #channel: Channel
  readonly #segment: Segment
  readonly #cursor: SegmentCursor
  readonly #latest: number
  readonly #response: ServerResponse
  readonly #body: ChunkedBody
  readonly #unwatch: () => void
  #stall: NodeJS.Timeout | undefined
  #ended = false

  constructor(server: ServedChannels, channel: Channel, segment: Segment, latest: number, response: ServerResponse) {
    this.#server = server
    this.#channel = channel
    this.#segment = segment
    this.#cursor = segment.cursor()
    this.#latest = latest
    this.#response = response
    server.readers++
    this.#unwatch = segment.watch(() => this.pump())
    // Also for a client that leaves while waiting, which would otherwise be noticed only at the next byte.
    response.once('close', () => this.#leave())
    this.#body = new ChunkedBody(response, () => this.#resume())
  }

  pump(): void {
    if (this.#ended || this.#stall) return
    for (let chunk = this.#cursor.next(); chunk; chunk = this.#cursor.next()) {
      if (!this.#response.headersSent) this.#begin()
      this.#channel.counters.bytesOut += chunk.length
      if (!this.#body.write(chunk)) {
        this.#stall = setTimeout(() => this.#giveUp(), this.#server.options.stallTimeoutMs)
        return
      }
    }
    if (this.#segment.closed) this.#end()
  }

  #begin(): void {
    const { seq } = this.#segment
    this.#response.setHeader(header.SEQ, seq)
    if (seq !== this.#latest) this.#response.setHeader(header.LATEST, this.#latest)
    this.#response.writeHead(200, { 'Content-Type': this.#channel.mime || 'application/octet-stream' })
  }

  #end(): void {
    this.#ended = true
    if (!this.#response.headersSent) {
      if (this.#channel.closed) this.#response.setHeader(header.CLOSED, 'terminated')
      this.#response.setHeader(header.SEQ, this.#segment.seq)
      this.#response.writeHead(200, { [header.LATEST]: this.#channel.head, 'Content-Length': 0 })
    }
    this.#response.end()
  }

  #resume(): void {
    clearTimeout(this.#stall)
    this.#stall = undefined
    this.pump()
  }

  #giveUp(): void {
    this.#channel.counters.stalled++
    this.#response.destroy()
  }

  #leave(): void {
    this.#ended = true
    this.#server.readers--
    this.#unwatch()
    clearTimeout(this.#stall)
  }
}
