import type { Reader } from '../../core/broadcast.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import { FramePool } from '../../core/media/frame-pool.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'
import { type Closed, type Context, type Resource, Scope } from '../../core/resource.ts'
import { Output, type OutputOptions } from './output.ts'

export type OnDemandOptions = Omit<OutputOptions, 'memory' | 'onUnread' | 'latency'>

/** A viewer who reloads the page returns within this time and finds the encoder running. */
const KEEP_MS = 2000

type Open = { output: Output; memory: FramePool }

/**
 * An additional output with its own encoder, shared by all its readers. It runs only while somebody reads, and its
 * failures do not affect the stream.
 */
export class OnDemandOutput implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: OnDemandOptions
  readonly #context: Context
  readonly #scope: Scope
  /** Includes those that are closing. */
  readonly #outputs = new Set<Output>()
  #open: Open | undefined
  #bitrateKbps: number
  #closing: NodeJS.Timeout | undefined

  constructor(options: OnDemandOptions, context: Context) {
    this.#options = options
    this.#bitrateKbps = options.bitrateKbps
    this.#scope = new Scope(context.signal)
    this.#context = { signal: this.#scope.signal, log: context.log }
    this.closed = this.#scope.closed
    this.#scope.defer(() => Promise.all([...this.#outputs].map((output) => output.close())))
    this.#scope.defer(() => clearTimeout(this.#closing))
  }

  /** Everything from the next keyframe on; nothing while nothing is written. */
  subscribe(): Reader {
    clearTimeout(this.#closing)
    this.#open ??= this.#start()
    return this.#open.output.subscribe()
  }

  /** Shows a frame, which is copied, to the readers; costs nothing without readers. `made` as for `Output`. */
  write(frame: VideoFrame, made = false): void {
    const open = this.#watched
    if (!open) return
    const data = open.memory.take(frame.data.length)
    data.set(frame.data)
    open.output.write({ ...frame, data }, made)
  }

  async prepare(frame: VideoFrame): Promise<void> {
    await this.#watched?.output.prepare(frame)
  }

  writeAudio(packet: EncodedPacket): void {
    this.#watched?.output.writeAudio(packet)
  }

  /** Passes video that is already encoded; no encoder runs meanwhile. */
  pass(packet: EncodedPacket): void {
    this.#watched?.output.pass(packet)
  }

  requestKeyframe(): void {
    this.#open?.output.requestKeyframe()
  }

  /** Also applies to later encoders. */
  async setBitrate(kbps: number): Promise<void> {
    this.#bitrateKbps = kbps
    await this.#open?.output.setBitrate(kbps)
  }

  get playoutDelayMs(): number {
    return this.#open?.output.playoutDelayMs ?? 0
  }

  /** Undefined unless somebody watches, or did a moment ago. */
  stats(): ReturnType<Output['stats']> | undefined {
    return this.#open?.output.stats()
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  get #watched(): Open | undefined {
    return this.#open && this.#open.output.readers > 0 ? this.#open : undefined
  }

  #start(): Open {
    const memory = new FramePool()
    const output: Output = new Output(
      { ...this.#options, bitrateKbps: this.#bitrateKbps, memory, onUnread: () => this.#closeSoon(output) },
      this.#context,
    )
    this.#outputs.add(output)
    // An output that fails for good disconnects its viewers; those who return get a new one.
    void output.closed.then(() => {
      this.#outputs.delete(output)
      if (this.#open?.output === output) this.#open = undefined
    })
    return { output, memory }
  }

  #closeSoon(output: Output): void {
    clearTimeout(this.#closing)
    if (this.#scope.signal.aborted || this.#open?.output !== output) return
    this.#closing = setTimeout(() => {
      if (this.#open?.output === output) this.#open = undefined
      void output.close()
    }, KEEP_MS)
  }
}
