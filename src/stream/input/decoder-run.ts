import { nowMs, TICKS_PER_SECOND, ticksToMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'
import type { Closed } from '../../core/resource.ts'
import type { VideoDecoder } from '../../ffmpeg/decoder/decoder.ts'

export type DecoderRunOptions = {
  open(): Promise<VideoDecoder>
  /** The packets to start with, from a keyframe on; empty if it has to wait for one. */
  packets: readonly EncodedPacket[]
  /** Settles when the previous decoder gives no more frames; never rejects. */
  after?: Promise<unknown> | undefined
  /** Time of the newest frame that any decoder has output. */
  reached(): number
  requestKeyframe(): void
}

/** Time limit for a decoder's last frames. */
const FLUSH_MS = 2000
/** Limit of packets that wait while a decoder opens. */
const MAX_WAITING = 600
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** The backlog from opening is decoded at this many times real time, so that the pipeline gets no burst. */
const CATCH_UP = 2
/** Time limit for working off the backlog, whatever its length. */
const CATCH_UP_MS = 1500
/** Packets inside the decoder during that time; one more if no frame came out for a while, as with B-frames. */
const MAX_INSIDE = 2
const SILENT_MS = 100
/** Longer steps between packets are pauses. */
const MAX_STEP_TICKS = TICKS_PER_SECOND / 5

/**
 * One decoder and the packets that wait for it. It opens while the previous one gives its last frames, and is fed once
 * that is gone, so that frames stay in order and none is lost in between.
 */
export class DecoderRun {
  /** Settles when it decodes, or when `done` settles. */
  readonly opened: Promise<void>
  /** Settles when the decoder is gone; never rejects. */
  readonly done: Promise<Closed>
  /** Packets that will not be decoded. */
  lost = 0
  /** Set once its remaining frames are not wanted. */
  givenUp = false
  readonly #options: DecoderRunOptions
  readonly #opened = Promise.withResolvers<void>()
  #opening: VideoDecoder | undefined
  /** Set once it has caught up. */
  #decoder: VideoDecoder | undefined
  #waiting: EncodedPacket[]
  #waitingBytes = 0
  #waitingForKey: boolean
  #ended = false
  #frames = 0
  #wake = () => {}

  constructor(options: DecoderRunOptions) {
    this.#options = options
    this.#waiting = [...options.packets]
    this.#waitingForKey = this.#waiting.length === 0
    if (this.#waitingForKey) options.requestKeyframe()
    this.opened = this.#opened.promise
    this.done = this.#live().finally(() => this.#opened.resolve())
  }

  get pid(): number | undefined {
    return this.#opening?.pid
  }

  /** Call when it has output a frame. */
  gave(): void {
    this.#frames++
    this.#wake()
  }

  /** Whether it still opens, waits for the previous decoder, or has not caught up. */
  get opening(): boolean {
    return this.#decoder === undefined
  }

  write(packet: EncodedPacket): void {
    if (packet.key) this.#waitingForKey = false
    if (!this.#waitingForKey && this.#take(packet)) return
    this.lost++
    if (!this.#waitingForKey) this.#options.requestKeyframe()
    this.#waitingForKey = true
  }

  /** Ends the input: the remaining frames come out. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#wake()
    if (this.#decoder) this.#flush(this.#decoder)
  }

  /** Ends the decoder; waiting packets are dropped. */
  giveUp(): void {
    this.givenUp = true
    this.#ended = true
    this.lost += this.#waiting.length
    this.#waiting = []
    this.#wake()
    void this.#opening?.close()
  }

  async #live(): Promise<Closed> {
    try {
      const [decoder] = await Promise.all([this.#options.open(), this.#options.after])
      this.#opening = decoder
      this.#opened.resolve()
      await this.#catchUp(decoder)
      this.#decoder = decoder
      if (this.givenUp) return await decoder.close()
      if (this.#ended) this.#flush(decoder)
      return await decoder.closed
    } catch (thrown) {
      return { why: 'failed', error: AppError.from(thrown) }
    }
  }

  /**
   * Feeds the backlog and what comes meanwhile: frames seen before at once, the rest no faster than frames come out.
   */
  async #catchUp(decoder: VideoDecoder): Promise<void> {
    let gone = false
    void decoder.closed.then(() => {
      gone = true
      this.#wake()
    })
    const until = nowMs() + CATCH_UP_MS
    let fed = 0
    let room = MAX_INSIDE
    let due = nowMs()
    for (let packet = this.#waiting.shift(); packet && !gone; packet = this.#waiting.shift()) {
      decoder.replay([packet])
      fed++
      if (packet.pts <= this.#options.reached()) continue
      const step = Math.min(MAX_STEP_TICKS, Math.abs((this.#waiting[0]?.pts ?? packet.pts) - packet.pts))
      due = Math.max(due, nowMs() - SILENT_MS) + ticksToMs(step) / CATCH_UP
      // The next decoder waits for this one.
      while (!gone && !this.#ended && nowMs() < until && this.#waiting.length > 0) {
        const now = nowMs()
        const full = fed - this.#frames >= room
        if (!full && now >= due - 1) break
        const woken = await this.#pause(full ? SILENT_MS : due - now)
        if (full && !woken) room++
      }
    }
  }

  /** False if nothing happened in that time. */
  async #pause(ms: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), ms)
    this.#wake = () => resolve(true)
    const woken = await promise
    clearTimeout(timer)
    this.#wake = () => {}
    return woken
  }

  #take(packet: EncodedPacket): boolean {
    if (this.#decoder) return this.#decoder.write(packet)
    this.#waiting.push(packet)
    this.#waitingBytes += packet.data.length
    if (this.#waiting.length <= MAX_WAITING && this.#waitingBytes <= MAX_WAITING_BYTES) return true
    this.lost += this.#waiting.length - 1
    this.#waiting = []
    this.#waitingBytes = 0
    return false
  }

  #flush(decoder: VideoDecoder): void {
    decoder.end()
    const timer = setTimeout(() => void decoder.close(), FLUSH_MS)
    void decoder.closed.then(() => clearTimeout(timer))
  }
}
