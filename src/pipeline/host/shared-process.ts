import type { Duplex } from 'node:stream'
import { nowMs } from '../../core/clock.ts'
import { Emitter } from '../../core/emitter.ts'
import { AppError } from '../../core/errors.ts'
import { type Closed, type Context, deadline } from '../../core/resource.ts'
import type { RunnerMessage, ServerMessage } from '../protocol.ts'
import type { Runner, RunnerOptions, RunnerProcess } from './process.ts'

/** A process that does not release a stream within this time hangs. */
const LEAVE_MS = 3000
/** A stream that has ended no process for this long is no longer suspected. */
const SUSPECT_MS = 60_000

/** One process with one loaded model, and the streams that share it. */
export class SharedProcess {
  readonly runner: RunnerProcess
  /** Number of seats; known once it has reported them. */
  streams: number | undefined
  /** Takes no further stream. */
  retired = false
  readonly #context: Context
  readonly #seats = new Map<number, Seat>()
  #next = 0

  constructor(runner: RunnerProcess, context: Context) {
    this.runner = runner
    this.#context = context
    runner.events.on('message', (message) => {
      if (message.type === 'imported') this.streams ??= message.description.streams
      const seat = 'seat' in message ? message.seat : undefined
      if (seat !== undefined) this.#seats.get(seat)?.receive(message)
      else for (const one of this.#seats.values()) one.receive(message)
    })
    runner.events.on('line', (line) => {
      for (const seat of this.#seats.values()) seat.events.emit('line', line)
    })
    void runner.closed.then((closed) => this.#end(closed))
  }

  get free(): boolean {
    return !this.retired && this.#seats.size < (this.streams ?? 1)
  }

  /** For the stream that the process was started for. */
  first({ suspect = false }: RunnerOptions): Runner {
    return this.#sit(suspect)
  }

  /** `frames` is the path of the stream's memory. */
  join({ params, revision, suspect = false }: RunnerOptions, frames: string): Runner {
    const seat = this.#sit(suspect)
    this.runner.send({ type: 'join', seat: seat.number, frames, params, revision, suspect })
    return seat
  }

  /**
   * Removes the stream of a seat; with the last one, or if it is not released, the process ends. Returns false then.
   */
  async leave(seat: Seat): Promise<boolean> {
    if (this.#seats.size <= 1) {
      this.retired = true
      await this.runner.close()
      return true
    }
    this.runner.send({ type: 'leave', seat: seat.number })
    try {
      await deadline(seat.left, LEAVE_MS, 'a seat')
      this.#seats.delete(seat.number)
      return true
    } catch {
      this.runner.kill(new AppError('pipeline-failed', "the pipeline's process does not answer"))
      return false
    }
  }

  /** Ends the stream of a seat with a reason: alone, if the process releases it. */
  dismiss(seat: Seat, reason: AppError, all: boolean): void {
    if (all || this.#seats.size <= 1) {
      this.retired = true
      this.runner.kill(reason)
      return
    }
    void (async () => {
      // If the whole process hangs, no stream is more to blame than the others.
      if (await this.leave(seat)) seat.end({ why: 'failed', error: this.#withLines(reason, { alone: true }) })
    })()
  }

  forget(seat: Seat): void {
    this.#seats.delete(seat.number)
  }

  #sit(suspect: boolean): Seat {
    const seat = new Seat(this, this.#next++, suspect, this.#context)
    this.#seats.set(seat.number, seat)
    return seat
  }

  /**
   * A stream with a frame in the process may be to blame, and is tried alone in the next process. One that was already
   * suspected and had the only frame gets a process of its own.
   */
  #end(closed: Closed): void {
    this.retired = true
    const seats = [...this.#seats.values()]
    this.#seats.clear()
    const busy = seats.filter((seat) => seat.busy())
    for (const seat of seats) {
      const shared = seats.length > 1 && closed.error && busy.includes(seat)
      const error = shared
        ? new AppError(closed.error!.code, closed.error!.message, {
            ...closed.error!,
            details: {
              ...closed.error!.details,
              ...(busy.length === 1 && seat.suspected ? { alone: true } : { suspect: true }),
            },
          })
        : closed.error
      seat.end({ ...closed, ...(error && { error }) })
    }
  }

  #withLines({ code, message, details, issues }: AppError, more: object): AppError {
    const lines = this.runner.tail
    return new AppError(code, message, { details: { ...details, ...more, lines }, ...(issues && { issues }) })
  }
}

/** Acts as the process of one stream's host. */
export class Seat implements Runner {
  readonly number: number
  readonly events: Emitter<{ message: RunnerMessage; line: string }>
  readonly closed: Promise<Closed>
  /** The process has released it. */
  readonly left: Promise<void>
  /** Whether a frame of its stream is being processed. */
  busy: () => boolean = () => false
  readonly #suspectUntil: number
  readonly #process: SharedProcess
  readonly #settle: (closed: Closed) => void
  readonly #leave: () => void

  constructor(process: SharedProcess, number: number, suspect: boolean, { log }: Context) {
    const closed = Promise.withResolvers<Closed>()
    const left = Promise.withResolvers<void>()
    this.number = number
    this.events = new Emitter(log)
    this.closed = closed.promise
    this.left = left.promise
    this.#process = process
    this.#suspectUntil = suspect ? nowMs() + SUSPECT_MS : 0
    this.#settle = closed.resolve
    this.#leave = left.resolve
  }

  /** The previous process ended with a frame of its stream in it. */
  get suspected(): boolean {
    return nowMs() < this.#suspectUntil
  }

  get pid(): number {
    return this.#process.runner.pid
  }

  get doorbell(): Duplex | undefined {
    return this.#process.runner.doorbell
  }

  get tail(): string[] {
    return this.#process.runner.tail
  }

  send(message: ServerMessage): void {
    if (message.type === 'lease' || message.type === 'release' || message.type === 'update' || message.type === 'check')
      this.#process.runner.send({ ...message, seat: this.number })
  }

  receive(message: RunnerMessage): void {
    if (message.type !== 'left') {
      this.events.emit('message', message)
      return
    }
    this.#leave()
    if (!message.error) return
    // Reported by the process: the stream had to go.
    this.#process.forget(this)
    const { code, ...error } = message.error
    const alone = code === 'invalid-params' ? {} : { alone: true }
    const details = { ...error.details, ...alone, lines: this.tail }
    this.end({ why: 'failed', error: AppError.fromJSON({ code, ...error, details }) })
  }

  kill(reason: AppError, all = false): void {
    this.#process.dismiss(this, reason, all)
  }

  async close(): Promise<Closed> {
    await this.#process.leave(this)
    this.#process.forget(this)
    this.end({ why: 'stopped' })
    return this.closed
  }

  end(closed: Closed): void {
    this.#settle(closed)
    this.#leave()
  }

  memoryBytes(): Promise<number | undefined> {
    return this.#process.runner.memoryBytes()
  }

  stuck(loading: boolean): Promise<boolean> {
    return this.#process.runner.stuck(loading)
  }
}
