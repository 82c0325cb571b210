import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'

/** Limit of requests on one connection before the first is answered. Clients rarely send two. */
const MAX_UNANSWERED = 16

/**
 * Closes connections that pipeline many requests (RFC 9112 §9.3.2): one packet holds a thousand of them, and all would
 * be started before anything else runs.
 */
export function fewUnanswered(answer: RequestListener): RequestListener {
  const unanswered = new WeakMap<Socket, number>()
  return (request, response) => {
    const { socket } = request
    const count = unanswered.get(socket) ?? 0
    if (count >= MAX_UNANSWERED) {
      socket.destroy()
      return
    }
    unanswered.set(socket, count + 1)
    response.once('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1))
    answer(request, response)
  }
}
