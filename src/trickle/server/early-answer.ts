import type { IncomingMessage, ServerResponse } from 'node:http'

/** How long a client that was answered early may go on sending before its connection is cut. */
const LINGER_MS = 500

/**
 * Answers before the request's body has ended, and closes the connection. Our half is closed at
 * once, the other a little later: closing on unread bytes resets the connection, and the answer could be lost.
 */
export function answerEarly(request: IncomingMessage, response: ServerResponse, status: number, text = ''): void {
  if (text) response.setHeader('Content-Type', 'text/plain; charset=utf-8')
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
