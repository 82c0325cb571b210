import { ApiError, send } from '../api.js'

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 8000

/**
 * Server-sent events with the token in a header, which the browser's own EventSource cannot send. Calls `onEvent` with
 * each event's JSON, past ones first, and resumes after the last id; ends with the signal, or when the stream is gone.
 */
export async function followEvents(path, onEvent, signal) {
  // From the first that the server still keeps.
  let lastId = '0'
  let retryMs = FIRST_RETRY_MS
  while (!signal.aborted) {
    try {
      const headers = { accept: 'text/event-stream', 'last-event-id': lastId }
      const answer = await send('GET', path, { headers, signal, quiet: true })
      retryMs = FIRST_RETRY_MS
      for await (const { id, data } of parseEvents(answer.body)) {
        if (id !== undefined) lastId = id
        if (data) onEvent(JSON.parse(data))
      }
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof ApiError && error.status === 404) return
    }
    await new Promise((resolve) => setTimeout(resolve, retryMs))
    retryMs = Math.min(LAST_RETRY_MS, retryMs * 2)
  }
}

/** The events in a stream of bytes (WHATWG HTML §9.2.6). */
export async function* parseEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  let event = { data: '' }
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      // A CR at the very end may be half of a CR LF.
      const lines = (rest + value).split(/\r\n|\n|\r(?=[\s\S])/)
      rest = lines.pop()
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
