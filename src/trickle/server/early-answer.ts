import type { IncomingMessage, ServerResponse } from 'node:http'

/** How long a client may keep sending after an early answer before it is disconnected. */
const LINGER_MS = 500

/**
 * Answers before the request's body has ended, and closes the connection: our half at once, the other a little later,
 * because closing with unread bytes resets the connection and could lose the answer.
 */
export function answerEarly(request: IncomingMessage, response: ServerResponse, status: number, text = ''): void {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8')
  response.writeHead(status, { Connection: 'close', 'Content-Length': Buffer.byteLength(text) })
  if (text) response.write(text)
  else response.flushHeaders()
  request.socket.end()
  const end = () => {
    clearTimeout(timer)
    response.end()
    request.socket.destroySoon()
  }
  const timer = setTimeout(end, LINGER_MS)
  request.once('end', end)
  response.once('close', end)
  request.resume()
}
