import type { Attributes, Span, Tracer } from '@opentelemetry/api'
import type { StreamEvent } from '../stream/events.ts'
import type { StreamRegistry } from '../stream/registry.ts'

type Api = typeof import('@opentelemetry/api')
type Phase = 'start' | 'restart' | 'swap'
/** The pipeline's part of a stream's status. */
type Facts = { pipeline: string | undefined; outputs: boolean }

/** No event reports the first output, so a starting stream is polled at this interval. */
const LOOK_MS = 50

/**
 * Spans of each stream: its start until the first output, restarts, and pipeline swaps. Returns a function that stops
 * it.
 */
export function traceStreams(registry: StreamRegistry, tracer: Tracer, api: Api): () => void {
  const streams = new Map<string, StreamSpans>()
  const untold = registry.onEvent((name, event) => {
    let spans = streams.get(name)
    if (!spans) {
      const look = (): Facts => {
        const status = registry.streams.find((stream) => stream.name === name)?.status()
        return { pipeline: status?.pipeline ?? undefined, outputs: (status?.inference.fps ?? 0) > 0 }
      }
      spans = new StreamSpans(tracer, api, name, look)
      streams.set(name, spans)
    }
    spans.tell(event)
    if (event.type === 'ended') streams.delete(name)
  })
  return () => {
    untold()
    for (const spans of streams.values()) spans.close()
  }
}

class StreamSpans {
  readonly #tracer: Tracer
  readonly #api: Api
  readonly #name: string
  readonly #look: () => Facts
  readonly #open = new Map<Phase, Span>()
  #started = false
  #timer: NodeJS.Timeout | undefined

  constructor(tracer: Tracer, api: Api, name: string, look: () => Facts) {
    this.#tracer = tracer
    this.#api = api
    this.#name = name
    this.#look = look
  }

  tell(event: StreamEvent): void {
    const { timestamp } = event
    switch (event.type) {
      case 'publisher':
        if (event.event === 'joined') {
          this.#begin(timestamp)
          this.#open.get('start')?.setAttribute('millrace.publisher.kind', event.kind)
        }
        break
      case 'state':
        this.#begin(timestamp)
        if (event.state === 'ONLINE') this.#end('restart', timestamp)
        break
      case 'restart':
        this.#restart(event)
        break
      case 'pipeline':
        if (event.status === 'loading') this.#start('swap', timestamp, { 'millrace.pipeline.next': event.pipeline })
        else this.#end('swap', timestamp, event.status === 'failed' ? event.error?.message : undefined)
        break
      case 'ended':
        this.close(event.error?.message)
        break
      default:
    }
  }

  /** Spans in progress cannot end otherwise. */
  close(why = 'the stream ended'): void {
    clearInterval(this.#timer)
    for (const phase of this.#open.keys()) this.#end(phase, Date.now(), why)
  }

  /** The pipeline is loaded for a publisher that is about to join, so either may come first. */
  #begin(timestamp: number): void {
    if (this.#started) return
    this.#started = true
    this.#start('start', timestamp, {})
    this.#timer = setInterval(() => {
      if (!this.#look().outputs) return
      clearInterval(this.#timer)
      this.#end('start', Date.now())
    }, LOOK_MS).unref()
  }

  #restart({ source, count, timestamp }: Extract<StreamEvent, { type: 'restart' }>): void {
    this.#end('restart', timestamp, 'it was started again')
    // A separate trace, whichever request opened the stream.
    this.#start('restart', timestamp, { 'millrace.restart.source': source, 'millrace.restart.count': count }, true)
    // Only for a pipeline does a state say when it is done.
    if (source !== 'pipeline') this.#end('restart', timestamp)
  }

  #start(phase: Phase, timestamp: number, more: Attributes, root = false): void {
    const attributes = { 'millrace.stream': this.#name, ...more }
    const span = this.#tracer.startSpan(`stream ${phase}`, { attributes, startTime: timestamp, root })
    this.#open.set(phase, span)
  }

  #end(phase: Phase, timestamp: number, error?: string): void {
    const span = this.#open.get(phase)
    if (!span) return
    this.#open.delete(phase)
    const { pipeline } = this.#look()
    if (pipeline !== undefined) span.setAttribute('millrace.pipeline', pipeline)
    if (error !== undefined) span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: error })
    span.end(timestamp)
  }
}
