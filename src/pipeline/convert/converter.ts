import { Worker } from 'node:worker_threads'
import { AppError } from '../../core/errors.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import type { Context } from '../../core/resource.ts'
import { placeOf } from '../ring/shared-memory.ts'
import type { Done, Form, Job, Place } from './messages.ts'

const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

/** Converts frames to another pixel format or resolution in a worker thread, between buffers of shared memory. */
export class Converter {
  readonly #context: Context
  #worker: Worker | undefined
  #jobs = new Map<number, PromiseWithResolvers<void>>()
  #lastId = 0
  #closed = false

  constructor(context: Context) {
    this.#context = context
  }

  /** Converts `frame` to the form of `to` and writes it into `target`, which must be shared memory. */
  async convert(frame: VideoFrame, to: Form, target: Uint8Array, matrix: number): Promise<void> {
    if (this.#closed) throw new AppError('internal', 'the chain is over')
    this.#worker ??= this.#start()
    const id = ++this.#lastId
    const { data, format, width, height } = frame
    const job = Promise.withResolvers<void>()
    this.#jobs.set(id, job)
    const from = { format, width, height, place: sharedPlace(data) ?? { data } }
    const place = sharedPlace(target)
    if (!place) throw new AppError('internal', 'frames are converted into shared memory only')
    this.#worker.postMessage({ id, from, to: { ...to, place }, matrix } satisfies Job)
    try {
      await job.promise
    } finally {
      this.#jobs.delete(id)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#worker?.terminate()
    this.#fail(new AppError('internal', 'the chain is over'))
  }

  #start(): Worker {
    const worker = new Worker(WORKER, { execArgv: [], name: 'convert' })
    worker.on('message', ({ id, failed }: Done) => {
      if (failed === undefined) this.#jobs.get(id)?.resolve()
      else this.#jobs.get(id)?.reject(new AppError('internal', `a frame could not be converted: ${failed}`))
    })
    worker.on('error', (err) => {
      this.#context.log.error({ err }, 'the thread that converts frames failed')
      if (this.#worker === worker) this.#worker = undefined
      this.#fail(AppError.from(err))
    })
    worker.unref()
    return worker
  }

  #fail(error: AppError): void {
    for (const job of this.#jobs.values()) job.reject(error)
  }
}

function sharedPlace(data: Uint8Array): Place | undefined {
  const found = placeOf(data)
  return found && { ...found, length: data.length }
}
