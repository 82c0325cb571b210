import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs } from '../../../src/core/clock.ts'
import { FPS } from './units.ts'

/**
 * Calls `send` with the numbers from `first` on at 30 per second, each on time however late the previous one was, until
 * it aborts or `count` are sent. ffmpeg's own `-re` sends in bursts if there is audio.
 */
export async function inRealTime(
  send: (number: number) => void,
  { signal, first = 0, count = Number.POSITIVE_INFINITY }: { signal?: AbortSignal; first?: number; count?: number },
): Promise<void> {
  const start = nowMs()
  for (let sent = 0; sent < count && !signal?.aborted; sent++) {
    const wait = start + (sent * 1000) / FPS - nowMs()
    if (wait > 0.5) await sleep(wait, undefined, { signal }).catch(() => {})
    if (!signal?.aborted) send(first + sent)
  }
}

/** Keeps a number of frames in flight: the next one is sent when one comes back, or is known to be lost. */
export class Window {
  readonly #send: (number: number) => void
  readonly #size: number
  #next: number
  #newestBack: number
  #open = false

  constructor(send: (number: number) => void, { first = 0, size = 6 } = {}) {
    this.#send = send
    this.#next = first
    this.#newestBack = first - 1
    this.#size = size
  }

  start(): void {
    this.#open = true
    this.#fill()
  }

  /** This one came back; earlier ones will not come any more. */
  back(number: number): void {
    this.#newestBack = Math.max(this.#newestBack, number)
    this.#fill()
  }

  stop(): void {
    this.#open = false
  }

  #fill(): void {
    while (this.#open && this.#next - this.#newestBack <= this.#size) this.#send(this.#next++)
  }
}
