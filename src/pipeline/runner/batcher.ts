import { setImmediate as turn } from 'node:timers/promises'
import { AppError } from '../../core/errors.ts'
import type { BatchItem, Processed } from '../../sdk/processed.ts'

/** The first batch may compile code or warm up a model. */
const FIRST_MS = 9000
/** Shorter than the time after which a stream's pipeline is restarted. */
const HANG_MS = 4000
/** A stream whose frame failed rejoins the batch after this many good frames. */
const GOOD_FRAMES = 60

type Waiting = { seat: number; item: BatchItem; answer: PromiseWithResolvers<Processed> }

export type BatcherOptions = {
  process(items: readonly BatchItem[]): Promise<readonly Processed[]>
  /** A frame of this seat enters or leaves author code. */
  onCall(seat: number, inside: boolean): void
  /** The frame of this seat, processed alone, did not finish. */
  onHang(seat: number): void
}

/**
 * Batches the frames of several streams for one model: the waiting ones, at most one per stream, oldest first. A stream
 * whose frames fail gets calls of its own, between those of the others, so that it costs no other stream a frame.
 */
export class Batcher {
  readonly #options: BatcherOptions
  #waiting: Waiting[] = []
  /** Seats that are processed alone, with the number of good frames until they rejoin. */
  readonly #alone = new Map<number, number>()
  /** Seats of a call that came to no end, by whose frame nobody knows: until their next one is done, no other waits for it. */
  readonly #doubted = new Set<number>()
  #working = false
  #aloneNext = false
  #hasWorked = false

  constructor(options: BatcherOptions) {
    this.#options = options
  }

  /** Rejects with the error thrown for this frame. One call at a time per seat. */
  process(seat: number, item: BatchItem): Promise<Processed> {
    const answer = Promise.withResolvers<Processed>()
    this.#waiting.push({ seat, item, answer })
    if (!this.#working) void this.#work()
    return answer.promise
  }

  /** Its frames may have ended the previous process. */
  suspect(seat: number): void {
    this.#alone.set(seat, GOOD_FRAMES)
  }

  /** Its stream is over: nobody waits for its frame. */
  forget(seat: number): void {
    this.#alone.delete(seat)
    this.#doubted.delete(seat)
    for (const { answer } of this.#waiting.filter((one) => one.seat === seat)) answer.reject(over())
    this.#waiting = this.#waiting.filter((one) => one.seat !== seat)
  }

  async #work(): Promise<void> {
    this.#working = true
    for (;;) {
      // Lets streams whose frames have just come, or were just finished, join the batch.
      await turn()
      await turn()
      const batch = this.#next()
      if (batch.length === 0) break
      const running = this.#run(batch)
      if (!this.#doubted.has(batch[0]!.seat)) await running
    }
    this.#working = false
  }

  #next(): Waiting[] {
    const trusted = this.#waiting.filter(({ seat }) => !this.#alone.has(seat))
    const alone = this.#waiting.filter(({ seat }) => this.#alone.has(seat)).slice(0, 1)
    const batch = alone.length > 0 && (this.#aloneNext || trusted.length === 0) ? alone : trusted
    this.#aloneNext = batch === trusted
    this.#waiting = this.#waiting.filter((one) => !batch.includes(one))
    return batch
  }

  async #run(batch: readonly Waiting[]): Promise<void> {
    const hanging = AbortSignal.timeout(this.#hasWorked ? HANG_MS : FIRST_MS)
    const hung = new Promise<never>((_, reject) => {
      hanging.addEventListener('abort', () => reject(hang()), { once: true })
    })
    hung.catch(() => {})
    try {
      const results = await this.#call(batch, hung)
      if (!Array.isArray(results) || results.length !== batch.length)
        throw new TypeError(`processBatch must give ${batch.length} results for as many frames`)
      this.#hasWorked = true
      for (const [at, { seat, answer }] of batch.entries()) {
        this.#good(seat)
        answer.resolve(results[at])
      }
    } catch (thrown) {
      if (hanging.aborted) this.#hung(batch, thrown)
      else if (batch.length > 1) for (const one of batch) await this.#run([one])
      else {
        this.#alone.set(batch[0]!.seat, GOOD_FRAMES)
        this.#doubted.delete(batch[0]!.seat)
        batch[0]!.answer.reject(thrown)
      }
    }
  }

  async #call(batch: readonly Waiting[], hung: Promise<never>): Promise<readonly Processed[]> {
    for (const { seat } of batch) this.#options.onCall(seat, true)
    try {
      return await Promise.race([this.#options.process(batch.map(({ item }) => item)), hung])
    } finally {
      for (const { seat } of batch) this.#options.onCall(seat, false)
    }
  }

  #hung(batch: readonly Waiting[], thrown: unknown): void {
    for (const { seat, answer } of batch) {
      this.#alone.set(seat, GOOD_FRAMES)
      this.#doubted.add(seat)
      answer.reject(thrown)
    }
    if (batch.length === 1) this.#options.onHang(batch[0]!.seat)
  }

  #good(seat: number): void {
    this.#doubted.delete(seat)
    const left = this.#alone.get(seat)
    if (left === undefined) return
    if (left > 1) this.#alone.set(seat, left - 1)
    else this.#alone.delete(seat)
  }
}

function hang(): AppError {
  return new AppError('timeout', 'processBatch did not return')
}

function over(): AppError {
  return new AppError('pipeline-failed', 'the stream is over')
}
