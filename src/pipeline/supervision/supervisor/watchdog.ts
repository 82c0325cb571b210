import { nowMs } from '../../../core/clock.ts'
import { AppError } from '../../../core/errors.ts'
import { type Closed, sleep } from '../../../core/resource.ts'
import type { PipelineHost } from '../../host/host.ts'
import type { Thresholds } from '../lease/health.ts'
import { Pulse } from './pulse.ts'

const TICK_MS = 250

export type Watched = {
  /** The pipeline's name, for messages. */
  name: string
  thresholds: Thresholds
  /** Bytes of private memory that a runner may use. */
  memoryLimit: number
  /** Undefined while none runs. */
  host(): PipelineHost | undefined
  streaming(): boolean
  onTick(): void
  /** Kills the runner, with all streams in it. */
  restart(reason: AppError): void
}

/** Watches what no message reports: timeouts, memory, and whether the runner's event loop runs. */
export class Watchdog {
  readonly pulse = new Pulse()
  readonly #watched: Watched

  constructor(watched: Watched) {
    this.#watched = watched
  }

  async run(signal: AbortSignal): Promise<Closed> {
    for (let tick = 1; ; tick++) {
      await sleep(TICK_MS, signal)
      this.#watched.onTick()
      const host = this.#watched.host()
      if (!host) continue
      await this.#feelPulse(host)
      this.#checkLoading(host)
      if (tick % 4 === 0) await this.#checkMemory(host)
    }
  }

  /** Rejects when the runner's event loop has not run for long. */
  async hung(signal: AbortSignal): Promise<never> {
    while (!this.pulse.hung) await sleep(TICK_MS, signal)
    throw new AppError('pipeline-failed', `${this.#watched.name} does not answer`)
  }

  #checkLoading({ phase, phaseSince }: PipelineHost): void {
    const { thresholds } = this.#watched
    if (phase === 'ready' || nowMs() - phaseSince <= thresholds.loadMs + thresholds.settleMs) return
    this.#restart(`was not ready after ${thresholds.loadMs / 1000} s`)
  }

  async #checkMemory(host: PipelineHost): Promise<void> {
    const { memoryLimit } = this.#watched
    const bytes = await host.memoryBytes()
    if (bytes === undefined || bytes <= memoryLimit) return
    const [used, limit] = [bytes, memoryLimit].map((n) => Math.round(n / 2 ** 20))
    this.#restart(`used ${used} MiB of memory, more than ${limit}`)
  }

  async #feelPulse(host: PipelineHost): Promise<void> {
    const { streaming } = this.#watched
    this.pulse.feel(host.heartbeat)
    if (!streaming() && host.phase === 'ready' && this.pulse.hungIdle) this.#restart('hangs')
    if (!this.pulse.maybeStuck) return
    if ((await host.stuck()) && host === this.#watched.host())
      this.#restart('hangs: its process is stopped or stuck in a driver')
  }

  #restart(why: string): void {
    this.#watched.restart(new AppError('pipeline-failed', `${this.#watched.name} ${why}`))
  }
}
