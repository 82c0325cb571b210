import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { type Closed, sleep } from '../../core/resource.ts'
import type { StreamEvents } from '../events.ts'
import { BitrateGovernor } from './bitrate.ts'

export type AudienceOptions = {
  stream: string
  maxViewers: number
  /** The full bitrate of the stream. */
  maxKbps: number
  events: StreamEvents
  /** A viewer has left. */
  onLeave(): void
}

/** What a viewer sees: what the pipeline gives, or what it is given. */
export const VIEWS = ['output', 'input'] as const
export type View = (typeof VIEWS)[number]

type Viewer = { view: View; availableKbps: () => number | undefined }

const BANDWIDTH_MS = 1000

/** Those who watch one stream: how many they may be, and the bitrate that suits their networks. */
export class Audience {
  readonly #options: AudienceOptions
  readonly #viewers = new Set<Viewer>()
  readonly #bitrate: BitrateGovernor

  constructor(options: AudienceOptions) {
    this.#options = options
    this.#bitrate = new BitrateGovernor({ maxKbps: options.maxKbps })
  }

  get size(): number {
    return this.#viewers.size
  }

  /** How many watch that view. */
  count(view: View): number {
    let count = 0
    for (const viewer of this.#viewers) if (viewer.view === view) count++
    return count
  }

  /**
   * Counts a viewer until the returned function is called. `availableKbps` tells what the viewer's network takes.
   * @throws AppError `capacity` beyond the limit of viewers.
   */
  admit(view: View, availableKbps: () => number | undefined = () => undefined): () => void {
    const { stream, maxViewers, onLeave } = this.#options
    if (this.size >= maxViewers) {
      const message = `the stream "${stream}" has ${maxViewers} viewers, as many as it may (MAX_VIEWERS)`
      throw new AppError('capacity', message, { retryable: true })
    }
    const viewer = { view, availableKbps }
    this.#viewers.add(viewer)
    this.#tell()
    return () => {
      if (!this.#viewers.delete(viewer)) return
      this.#tell()
      onLeave()
    }
  }

  /** Calls `setBitrate` whenever another bitrate suits those who watch the output better. */
  async followBandwidth(setBitrate: (kbps: number) => Promise<void>, signal: AbortSignal): Promise<Closed | undefined> {
    for (;;) {
      await sleep(BANDWIDTH_MS, signal)
      const watching = [...this.#viewers].filter(({ view }) => view === 'output')
      const available = watching.map((viewer) => viewer.availableKbps())
      if (this.#bitrate.observe(available, nowMs())) await setBitrate(this.#bitrate.kbps)
    }
  }

  #tell(): void {
    this.#options.events.emit({
      type: 'viewers',
      viewers: this.count('output'),
      inputViewers: this.count('input'),
    })
  }
}
