import type { StreamEvent } from '../stream/events.ts'
import type { StreamRegistry } from '../stream/registry.ts'
import type { Delivery } from './delivery.ts'

/** Sends the events of all streams. Returns a function that stops it. */
export function tellWebhooks(registry: StreamRegistry, delivery: Delivery): () => void {
  const started = new Set<string>()
  return registry.onEvent((stream, event) => {
    // The pipeline is loaded for a publisher that is about to join.
    const begins = event.type === 'state' || (event.type === 'publisher' && event.event === 'joined')
    if (begins && !started.has(stream)) {
      started.add(stream)
      delivery.send('stream.started', { stream })
    }
    // A stream in which only viewers waited never started.
    if (event.type === 'ended' && !started.delete(stream)) return
    const message = messageOf(event)
    if (message) delivery.send(message.type, { stream, ...message.data })
  })
}

function messageOf(event: StreamEvent): { type: string; data: Record<string, unknown> } | undefined {
  switch (event.type) {
    case 'publisher': {
      const { event: what, kind, reason } = event
      return { type: `publisher.${what}`, data: { kind, ...(reason !== undefined && { reason }) } }
    }
    case 'state':
      return { type: 'pipeline.state', data: { state: event.state, previous: event.previous } }
    case 'recording': {
      const { status, recording, view, files } = event
      return status === 'finished' ? { type: 'recording.finished', data: { recording, view, files } } : undefined
    }
    case 'ended':
      return { type: 'stream.ended', data: { why: event.why, ...(event.error && { error: event.error }) } }
    default:
      return undefined
  }
}
