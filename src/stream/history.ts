import { sleep } from '../core/resource.ts'
import type { StreamEvents } from './events.ts'
import type { StreamStatus } from './status.ts'

const SAMPLE_MS = 1000
const SPAN_MS = 300_000
const MAX_SPELLS = 60
/** Every so many samples the status is also sent as an event. */
const STATUS_EVENT_EVERY = 10

const COLUMNS = {
  ingestFps: ({ ingest }: StreamStatus) => ingest?.fps ?? 0,
  egressFps: ({ egress }: StreamStatus) => egress.fps,
  ingestKbps: ({ ingest }: StreamStatus) => ingest?.kbps ?? 0,
  egressKbps: ({ egress }: StreamStatus) => egress.kbps,
  decodeMs: ({ latencyMs }: StreamStatus) => latencyMs.decode.p50,
  pipelineMs: ({ latencyMs }: StreamStatus) => latencyMs.pipeline.p50,
  encodeMs: ({ latencyMs }: StreamStatus) => latencyMs.encode.p50,
  dropped: ({ dropped, ingest }: StreamStatus) =>
    dropped.beforePipeline + dropped.afterPipeline + dropped.failed + dropped.viewers + (ingest?.lost ?? 0),
}
type Column = keyof typeof COLUMNS

/** The last five minutes of a stream: a sample per second, and its states. At most 40 kB. */
export class StreamHistory {
  readonly #samples: Record<Column, number>[] = []
  /** Oldest first; `from` in ms since 1970. */
  readonly #spells: { state: string; from: number }[] = []
  #until = 0

  /** Records the state at `now` and returns when it began, both in ms since 1970. */
  observe(state: string, now = Date.now()): number {
    const last = this.#spells.at(-1)
    if (last?.state === state) return last.from
    this.#spells.push({ state, from: now })
    while (this.#spells.length > MAX_SPELLS || (this.#spells[1]?.from ?? now) < now - SPAN_MS) this.#spells.shift()
    return now
  }

  sample(status: StreamStatus, now = Date.now()): void {
    const values = Object.entries(COLUMNS).map(([column, read]) => [column, read(status)])
    this.#samples.push(Object.fromEntries(values))
    if (this.#samples.length > SPAN_MS / SAMPLE_MS) this.#samples.shift()
    this.#until = now
  }

  /** Columns of equal length, oldest value first; the newest was taken at `until`. */
  report() {
    const columns = Object.keys(COLUMNS) as Column[]
    return {
      everyMs: SAMPLE_MS,
      until: new Date(this.#until || Date.now()).toISOString(),
      states: this.#spells.map(({ state, from }) => ({ state, since: new Date(from).toISOString() })),
      samples: Object.fromEntries(
        columns.map((column) => [column, this.#samples.map((sample) => sample[column])]),
      ) as Record<Column, number[]>,
    }
  }
}

type Followed = { history: StreamHistory; events: StreamEvents; status(): StreamStatus }

/** Samples a stream's status once a second, and sends it as an event now and then, until the signal aborts. */
export async function followStatus(stream: Followed, signal: AbortSignal): Promise<undefined> {
  for (let count = 1; ; count++) {
    await sleep(SAMPLE_MS, signal)
    const now = stream.status()
    stream.history.sample(now)
    if (count % STATUS_EVENT_EVERY === 0) stream.events.emit({ type: 'status', status: now })
  }
}
