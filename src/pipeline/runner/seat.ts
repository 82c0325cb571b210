import type { AppError } from '../../core/errors.ts'
import { audioOf, type Pipeline, type PipelineClass, type PipelineContext } from '../../sdk/pipeline-class.ts'
import type { RunnerMessage, ServerMessage, Values } from '../protocol.ts'
import type { Doorbell } from '../ring/doorbell.ts'
import { REGION } from '../ring/frame-layout.ts'
import { checkRegion } from '../ring/frame-ring.ts'
import type { SharedMemory } from '../ring/shared-memory.ts'
import { type Answer, ParamsStore } from './params.ts'
import { ProcessLoop } from './process-loop.ts'
import { ErrorReports } from './reports.ts'
import { SeatPipeline, type SharedModel } from './shared-model.ts'

export type SeatOptions = {
  /** Undefined in a process with one stream. */
  number: number | undefined
  author: PipelineClass
  model: SharedModel | undefined
  params: { initial: Values; params: Values; revision: number }
  memory: SharedMemory
  doorbell: Doorbell
  context: PipelineContext
  send(message: RunnerMessage): void
  unread(): number
}

/** One stream in this process: its frames, params and messages. */
export class Seat {
  readonly errors: ErrorReports
  readonly loop: ProcessLoop
  readonly pipeline: Pipeline
  readonly #options: SeatOptions
  readonly #store: ParamsStore
  readonly #working: Int32Array
  readonly #leaving = new AbortController()

  /** Throws `invalid-params`. */
  constructor(options: SeatOptions) {
    const { number, author, model, params, memory, doorbell, context, unread } = options
    this.#options = options
    this.#working = new Int32Array(memory.buffer, REGION.working, 1)
    checkRegion(memory.buffer)
    const check = (value: unknown) => {
      author.checkParams(value as never, context)
      model?.checkParams(value)
    }
    this.#store = new ParamsStore(author.Params, params, (answer) => this.#answer(answer), check)
    this.pipeline = model ? new SeatPipeline(model, number ?? 0, this.#store) : new author()
    this.errors = new ErrorReports((message) => this.send(message))
    const signal = AbortSignal.any([context.signal, this.#leaving.signal])
    this.loop = new ProcessLoop({
      pipeline: this.pipeline,
      audio: model ? undefined : audioOf(author),
      store: this.#store,
      buffer: memory.buffer,
      doorbell,
      errors: this.errors,
      send: (message) => this.send(message),
      unread,
      context: { ...context, signal },
    })
  }

  /** The params it loads with, with defaults. */
  get params(): Values {
    return this.#store.inForce.shown
  }

  send(message: RunnerMessage): void {
    const { number, send } = this.#options
    send(number === undefined ? message : { ...message, seat: number })
  }

  receive(message: ServerMessage): void {
    if (message.type === 'lease') this.loop.lease(message)
    else if (message.type === 'release') this.loop.release(message)
    else if (message.type === 'check') this.#store.check(message.id, message.mode, message.value)
    else if (message.type === 'update') {
      this.#store.update(message.id, message.mode, message.value)
      this.loop.wake()
    }
  }

  /** Marks a frame as being in author code: if the process ends then, the server knows whose frame it was. */
  working(inside: boolean): void {
    Atomics.store(this.#working, 0, Number(inside))
  }

  /** Resolves when the stream has left, or the process should end. Throws if loading fails. */
  async run(): Promise<void> {
    await this.loop.run()
    this.#options.memory.unmap()
  }

  /** Its stream is over, or has to end because of `error`, while others stay. */
  leave(error?: AppError): void {
    this.#options.model?.batcher.forget(this.#options.number ?? 0)
    this.#leaving.abort()
    this.send({ type: 'left', ...(error && { error: error.toJSON() }) })
  }

  #answer(answer: Answer): void {
    const { id } = answer
    if (!answer.ok) this.send({ type: 'refused', id, error: answer.error.toJSON() })
    else this.send({ type: 'done', id, status: answer.status, revision: answer.revision, params: answer.params })
  }
}
