import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AppError } from '../../core/errors.ts'
import * as header from '../headers.ts'
import type { Channel } from './channel.ts'
import type { ChannelWriter } from './channel-writer.ts'
import { answerEarly } from './early-answer.ts'
import { refusalOf } from './refusal.ts'

/** Receives a segment from a publisher, contract §1.4. */
export function receiveSegment(
  channel: Channel,
  writer: ChannelWriter,
  request: IncomingMessage,
  response: ServerResponse,
  keepaliveMs: number,
): void {
  // Readers that follow the channel look only at the head, so a publisher behind it is told where the head is.
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
    if (channel.refusal) refuse(channel.refusal)
    else if (writer.refused) {
      response.setHeader('Retry-After', '5')
      answerEarly(request, response, 507, 'The channels of this server hold as many bytes as they may')
    } else if (writer.oversized) answerEarly(request, response, 413, `Segment is longer than ${segmentBytes} bytes`)
    else answerEarly(request, response, 200)
  }
  const refuse = (error: AppError) => {
    const { status, message, headers } = refusalOf(error)
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    answerEarly(request, response, status, message)
  }
  const unwatch = writer.segment.watch(cut)

  request.on('data', (chunk: Buffer) => {
    if (answered) return
    clearInterval(keepalive)
    writer.write(chunk)
  })
  const stored = () => {
    if (answered) return
    settle()
    if (channel.refusal) return refuse(channel.refusal)
    if (writer.bytes === 0) response.setHeader('Connection', 'close')
    response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': 0 }).end()
  }
  request.once('end', () => {
    if (answered) return
    // Closing the segment would call `cut`.
    unwatch()
    clearInterval(keepalive)
    writer.close()
    if (channel.admission) void channel.admission.then(stored)
    else stored()
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
  // Its client may have left while hooks were called.
  if (response.destroyed) lost()
  else cut()
}
