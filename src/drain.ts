import { sleep } from './core/resource.ts'
import type { LiveStream } from './stream/live-stream.ts'
import type { StreamRegistry } from './stream/registry.ts'

const LOOK_MS = 200
/**
 * Time for streams to move to another server, even if other streams get none: a pipeline may have to load a model
 * there.
 */
const HANDOVER_MS = 25_000

export type Draining = {
  registry: StreamRegistry
  /** Streams that another server is about to take over; each ends here when it runs there. */
  handed(): readonly LiveStream[]
}

/**
 * Refuses new streams. Resolves when no stream has a publisher any more, after `ms`, or with the signal; after 25 s at
 * the earliest while streams are handed over.
 */
export async function drain({ registry, handed }: Draining, ms: number, signal: AbortSignal): Promise<void> {
  registry.drain()
  const began = performance.now()
  while (!signal.aborted && registry.streams.some((stream) => stream.publishing)) {
    const passedMs = performance.now() - began
    if (passedMs >= ms && (passedMs >= HANDOVER_MS || handed().length === 0)) return
    await sleep(LOOK_MS, signal).catch(() => {})
  }
}
