import { nowMs } from '../../../core/clock.ts'

/** Between streams, an event loop that has not run for this long is not waited for. */
const HUNG_MS = 5000
const HUNG_IDLE_MS = 30_000
/** The same if the system reports that the process does no work, and so is not merely busy. */
const STUCK_MS = 1500
/** A runner without a heartbeat for this long is not given to a stream if there is another. */
const RESPONSIVE_MS = 2000

/** Whether a runner's event loop runs, by its heartbeat in shared memory. */
export class Pulse {
  #heartbeat = 0
  #lastBeatAt = nowMs()

  /** Call for a new runner. */
  begin(): void {
    this.#lastBeatAt = nowMs()
  }

  feel(heartbeat: number): void {
    if (heartbeat !== this.#heartbeat) this.#lastBeatAt = nowMs()
    this.#heartbeat = heartbeat
  }

  get responsive(): boolean {
    return this.#silentMs < RESPONSIVE_MS
  }

  get maybeStuck(): boolean {
    return this.#silentMs >= STUCK_MS
  }

  get hung(): boolean {
    return this.#silentMs >= HUNG_MS
  }

  get hungIdle(): boolean {
    return this.#silentMs > HUNG_IDLE_MS
  }

  get #silentMs(): number {
    return nowMs() - this.#lastBeatAt
  }
}
