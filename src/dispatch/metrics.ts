import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Dispatcher } from './dispatcher.ts'

const PREFIX = 'millrace_dispatch_'
const PLACE_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60]

/** The dispatcher's Prometheus metrics. */
export class DispatchMetrics {
  readonly #registry = new Registry()
  readonly #seconds: Histogram
  readonly #webhooks: Counter<'outcome'>

  constructor(dispatcher: () => Dispatcher) {
    const registers = [this.#registry]
    const gauge = (name: string, help: string, value: () => number) => {
      new Gauge({
        name: PREFIX + name,
        help,
        registers,
        collect() {
          this.set(value())
        },
      })
    }
    const counter = (name: string, help: string, value: () => number) => {
      new Counter({
        name: PREFIX + name,
        help,
        registers,
        collect() {
          this.reset()
          this.inc(value())
        },
      })
    }
    const fleet = () => dispatcher().fleet.counts
    gauge('servers', 'Servers that MILLRACE_SERVERS stands for', () => fleet().servers)
    gauge('servers_reached', 'Servers that tell what they do', () => fleet().reached)
    gauge('streams', 'Streams of rooms that servers tell of', () => fleet().streams)
    gauge('streams_free', 'Streams that all servers together would take', () => fleet().free)
    gauge('rooms_waiting', 'Rooms for which no server has a free place', () => dispatcher().waiting)
    const counts = () => dispatcher().counts
    new Counter({
      name: `${PREFIX}placements_total`,
      help: 'Rooms placed on a server, by cause',
      labelNames: ['cause'],
      registers,
      collect() {
        this.reset()
        for (const [cause, count] of Object.entries(counts().placed)) this.inc({ cause }, count)
      },
    })
    counter('requests_total', 'Servers asked to take a room', () => counts().asked)
    counter(
      'failures_total',
      'Rooms that servers could not start or refused',
      () => counts().failed + counts().rejected,
    )
    counter('livekit_errors_total', 'Requests that LiveKit did not answer well', () => counts().livekitErrors)
    this.#seconds = new Histogram({
      name: `${PREFIX}placement_seconds`,
      help: 'From the notice until a server had taken the room',
      buckets: PLACE_SECONDS,
      registers,
    })
    this.#webhooks = new Counter({
      name: `${PREFIX}webhooks_total`,
      help: 'Webhooks, by whether they were LiveKit’s',
      labelNames: ['outcome'],
      registers,
    })
  }

  placed(ms: number): void {
    this.#seconds.observe(ms / 1000)
  }

  webhook(outcome: 'accepted' | 'refused'): void {
    this.#webhooks.inc({ outcome })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }
}
