import { sleep } from './core/resource.ts'
import type { StreamRegistry } from './stream/registry.ts'

const LOOK_MS = 200

/** Closes the door to new streams. Resolves when none has a publisher any more, after `ms`, or with the signal. */
export async function drain(registry: StreamRegistry, ms: number, signal: AbortSignal): Promise<void> {
  registry.drain()
  const end = performance.now() + ms
  while (!signal.aborted && performance.now() < end && registry.streams.some((stream) => stream.publishing)) {
    await sleep(Math.min(LOOK_MS, ms), signal).catch(() => {})
  }
}
