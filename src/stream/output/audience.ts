import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { VIEWER_CODECS, type ViewerCodec } from '../../core/media/packet.ts'
import { type Closed, sleep } from '../../core/resource.ts'
import type { StreamEvents } from '../events.ts'
import { BitrateGovernor } from './bitrate.ts'

export type AudienceOptions = {
  stream: string
  maxViewers: number
  /** The stream's full bitrate. */
  maxKbps: number
  events: StreamEvents
  /** Called when a viewer has left. */
  onLeave(): void
}

/** What a viewer watches: the pipeline's output or its input. */
export const VIEWS = ['output', 'input'] as const
export type View = (typeof VIEWS)[number]

export type Viewer = {
  view: View
  codec: ViewerCodec
  /** What the viewer's network carries, in kbit/s; undefined while nothing limits it. */
  availableKbps: () => number | undefined
  sent: () => Sent | undefined
}

/** Counters of the packets sent to WebRTC viewers, since they joined. */
export type Sent = {
  /** Retransmitted packets. */
  resent: number
  /** Refused retransmission requests. */
  resendsRefused: number
  /** Frames left out because the viewer's network carries less than the stream. */
  thinned: number
}

const BANDWIDTH_MS = 1000

/** The viewers of one stream: their limit, and the bitrate that suits their networks. */
export class Audience {
  readonly #options: AudienceOptions
  readonly #viewers = new Set<Viewer>()
  /** What the networks of push targets carry; these are not viewers. */
  readonly #targets = new Set<Viewer['availableKbps']>()
  /** Counters of viewers that have left. */
  readonly #sentBefore: Sent = { resent: 0, resendsRefused: 0, thinned: 0 }
  /** Each codec has an encoder, which follows that codec's viewers. */
  readonly #bitrates: Record<ViewerCodec, BitrateGovernor>

  constructor(options: AudienceOptions) {
    this.#options = options
    const { maxKbps } = options
    this.#bitrates = { h264: new BitrateGovernor({ maxKbps }), vp8: new BitrateGovernor({ maxKbps }) }
  }

  get size(): number {
    return this.#viewers.size
  }

  /** Number of viewers of that view, in that codec or in any. */
  count(view: View, codec?: ViewerCodec): number {
    return this.#watching(view, codec).length
  }

  /** Sum over all viewers, including those who have left. */
  sent(): Sent {
    const sum = { ...this.#sentBefore }
    for (const viewer of this.#viewers) add(sum, viewer.sent())
    return sum
  }

  /**
   * Counts a viewer until the returned function is called. `availableKbps` returns what the viewer's network carries.
   * @throws AppError `capacity` beyond the limit of viewers.
   */
  admit(
    view: View,
    availableKbps: Viewer['availableKbps'] = () => undefined,
    codec: ViewerCodec = 'h264',
    sent: Viewer['sent'] = () => undefined,
  ): () => void {
    const { stream, maxViewers, onLeave } = this.#options
    if (this.size >= maxViewers) {
      const message = `the stream "${stream}" has ${maxViewers} viewers, as many as it may (MAX_VIEWERS)`
      throw new AppError('capacity', message, { retryable: true })
    }
    const viewer = { view, codec, availableKbps, sent }
    this.#viewers.add(viewer)
    this.#tell()
    return () => {
      if (!this.#viewers.delete(viewer)) return
      add(this.#sentBefore, viewer.sent())
      this.#tell()
      onLeave()
    }
  }

  /** Makes the H.264 bitrate also follow the network of a push target, until the returned function is called. */
  followTarget(availableKbps: Viewer['availableKbps']): () => void {
    this.#targets.add(availableKbps)
    return () => void this.#targets.delete(availableKbps)
  }

  /** Calls `setBitrate` whenever another bitrate suits the viewers of that codec's output better. */
  async followBandwidth(
    setBitrate: (kbps: number, codec: ViewerCodec) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Closed | undefined> {
    for (;;) {
      await sleep(BANDWIDTH_MS, signal)
      for (const codec of VIEWER_CODECS) {
        const targets = codec === 'h264' ? [...this.#targets] : []
        const watching = this.#watching('output', codec).map((viewer) => viewer.availableKbps)
        const available = [...watching, ...targets].map((availableKbps) => availableKbps())
        const bitrate = this.#bitrates[codec]
        if (bitrate.observe(available, nowMs())) await setBitrate(bitrate.kbps, codec)
      }
    }
  }

  #watching(view: View, codec?: ViewerCodec): Viewer[] {
    return [...this.#viewers].filter((one) => one.view === view && (codec === undefined || one.codec === codec))
  }

  #tell(): void {
    this.#options.events.emit({
      type: 'viewers',
      viewers: this.count('output'),
      inputViewers: this.count('input'),
    })
  }
}

function add(sum: Sent, more: Sent | undefined): void {
  sum.resent += more?.resent ?? 0
  sum.resendsRefused += more?.resendsRefused ?? 0
  sum.thinned += more?.thinned ?? 0
}
