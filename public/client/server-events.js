/** @import { Requests } from './requests.js' */
/** @import { EventsOptions } from './types.js' */
import { Pauses } from './pauses.js'
import { ApiError, isPassing } from './requests.js'

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 8000

/**
 * Server-sent events with the token in a header, which the browser's EventSource cannot send. After a lost connection
 * it reconnects and continues after the last id. Ends with the event `ended`, when the signal aborts, or when the
 * stream is gone.
 * @param {Requests} requests
 * @param {string} path
 * @param {EventsOptions} options
 * @returns {AsyncGenerator<any, void, undefined>}
 */
export async function* followEvents(requests, path, { past = false, signal }) {
  const pauses = new Pauses(FIRST_RETRY_MS, LAST_RETRY_MS)
  let lastId = past ? '0' : undefined
  let was = false
  for (;;) {
    try {
      const after = lastId === undefined ? undefined : { 'last-event-id': lastId }
      const answer = await requests.send('GET', path, { headers: { accept: 'text/event-stream', ...after }, signal })
      was = true
      pauses.reset()
      for await (const { id, data } of parseEvents(/** @type {ReadableStream<Uint8Array>} */ (answer.body))) {
        if (id !== undefined) lastId = id
        const event = JSON.parse(data)
        yield event
        if (event.type === 'ended') return
      }
    } catch (error) {
      if (signal?.aborted) return
      if (was && error instanceof ApiError && error.status === 404) return
      if (!isPassing(error)) throw error
    }
    await pause(pauses.next(), signal)
    if (signal?.aborted) return
  }
}

/**
 * Waits, unless the signal aborts.
 * @param {number} ms
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/**
 * The events of a byte stream (WHATWG HTML §9.2.6).
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{ data: string, id?: string }, void, undefined>}
 */
export async function* parseEvents(body) {
  const decoder = /** @type {TransformStream<Uint8Array, string>} */ (new TextDecoderStream())
  const reader = body.pipeThrough(decoder).getReader()
  let rest = ''
  /** @type {{ data: string, id?: string }} */
  let event = { data: '' }
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      // A CR at the very end may be half of a CR LF.
      const lines = (rest + value).split(/\r\n|\n|\r(?=[\s\S])/)
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line === '') {
          if (event.data) yield event
          event = { data: '' }
        } else if (line.startsWith('data:')) event.data += (event.data ? '\n' : '') + line.slice(5).trimStart()
        else if (line.startsWith('id:')) event.id = line.slice(3).trim()
      }
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}
