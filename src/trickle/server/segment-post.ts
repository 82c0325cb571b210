import type { IncomingMessage, ServerResponse } from 'node:http'
import * as header from '../headers.ts'
import type { Channel } from './channel.ts'
import type { ChannelWriter } from './channel-writer.ts'
import { answerEarly } from './early-answer.ts'

/** Takes a segment from a publisher, contract §1.4. */
export function receiveSegment(
  channel: Channel,
  writer: ChannelWriter,
  request: IncomingMessage,
  response: ServerResponse,
  keepaliveMs: number,
): void {
  // Behind the head no reader that follows the channel looks: the publisher is told where the head is.
  const behind = writer.seq < channel.head
  const keepalive = setInterval(() => response.writeContinue(), keepaliveMs)
  let answered = false

  const settle = () => {
    answered = true
    clearInterval(keepalive)
    unwatch()
    response.setHeader(header.SEQ, writer.seq)
    if (behind) response.setHeader(header.LATEST, channel.head)
    if (channel.closed) response.setHeader(header.CLOSED, 'terminated')
  }
  const cut = () => {
    if (!writer.segment.closed || answered) return
    writer.close()
    settle()
    const { segmentBytes } = channel.options
    if (writer.oversized) answerEarly(request, response, 413, `Segment is longer than ${segmentBytes} bytes`)
    else answerEarly(request, response, 200)
  }
  const unwatch = writer.segment.watch(cut)

  request.on('data', (chunk: Buffer) => {
    if (answered) return
    clearInterval(keepalive)
    writer.write(chunk)
  })
  request.once('end', () => {
    if (answered) return
    // Settled first: closing the segment would call `cut`.
    settle()
    writer.close()
    if (writer.bytes === 0) response.setHeader('Connection', 'close')
    response.writeHead(200, { 'Content-Length': 0 }).end()
  })
  const lost = () => {
    clearInterval(keepalive)
    unwatch()
    if (answered) return
    answered = true
    writer.abort()
  }
  request.once('error', lost)
  response.once('close', lost)
  // Its client may have left while hooks were asked.
  if (response.destroyed) lost()
  else cut()
}
