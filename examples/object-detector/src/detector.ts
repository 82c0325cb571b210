import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { VideoFrame } from 'millrace/pipeline'
import { type Answer, type Found, type Picture, SIDE } from './messages.ts'

/** The model in its worker thread, which processes one image at a time. */
export class Detector {
  readonly #worker: Worker

  private constructor(worker: Worker) {
    this.#worker = worker
  }

  /** Rejects with the reason why the model cannot be loaded. */
  static async open(): Promise<Detector> {
    // In tests the sources run directly; an installed package is compiled.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const worker = new Worker(new URL(`./worker.${extension}`, import.meta.url))
    await once(worker, 'message')
    return new Detector(worker)
  }

  /** All objects in an rgb24 frame, the most certain first. */
  async find(frame: VideoFrame): Promise<Found[]> {
    const pixels = squeeze(frame)
    this.#worker.postMessage({ pixels } satisfies Picture, [pixels.buffer])
    const [answer] = (await once(this.#worker, 'message')) as [Answer]
    if ('found' in answer) return answer.found
    throw new Error('error' in answer ? answer.error : 'the model answered out of turn')
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}

/** The frame scaled by nearest neighbour to the model's input size. */
function squeeze({ data, width, height }: VideoFrame): Uint8Array<ArrayBuffer> {
  const pixels = new Uint8Array(SIDE * SIDE * 3)
  for (let row = 0, to = 0; row < SIDE; row++) {
    const line = Math.floor(((row + 0.5) * height) / SIDE) * width
    for (let column = 0; column < SIDE; column++, to += 3) {
      const from = (line + Math.floor(((column + 0.5) * width) / SIDE)) * 3
      pixels[to] = data[from]!
      pixels[to + 1] = data[from + 1]!
      pixels[to + 2] = data[from + 2]!
    }
  }
  return pixels
}
