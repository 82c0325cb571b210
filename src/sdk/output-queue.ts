import { AudioOutput } from './audio/output.ts'
import { checkData } from './data.ts'
import { VideoOutput } from './video-output.ts'

/** In audio frames of 20 ms: more than a second. */
const AUDIO_CAPACITY = 64

type Tally = 'put' | 'lost'

/** The queue between the author's code and the runner. Bounded: when full, the oldest output is dropped and counted. */
export class OutputQueue {
  readonly #video: Queue<VideoOutput>
  readonly #audio: Queue<AudioOutput>
  /** Called for each output that was queued or dropped here; the runner's counters use it. */
  onTally: ((what: Tally) => void) | undefined
  /** The same for audio. */
  onAudioTally: ((what: Tally) => void) | undefined
  /** Called with each data message. */
  onData: ((value: unknown, pts: number) => void) | undefined

  constructor(capacity = 16) {
    this.#video = new Queue(capacity, (what) => this.onTally?.(what))
    this.#audio = new Queue(AUDIO_CAPACITY, (what) => this.onAudioTally?.(what))
  }

  /** Number of waiting frames. */
  get size(): number {
    return this.#video.size
  }

  /** Queues a frame or audio for output. */
  put(output: VideoOutput | AudioOutput): void {
    if (output instanceof VideoOutput) this.#video.put(output)
    else if (output instanceof AudioOutput) this.#audio.put(output)
    else throw new TypeError('outputs.put takes a VideoOutput or an AudioOutput')
  }

  /**
   * Sends data with the video, such as the objects found in a frame: a JSON value of at most 64 KiB, with the `pts` of
   * its frame in 90 kHz ticks.
   * @throws TypeError for anything else
   */
  data(value: unknown, pts: number): void {
    checkData(value, pts)
    this.onData?.(value, pts)
  }

  /** Returns the oldest frame; waits if there is none. */
  get(): Promise<VideoOutput> {
    return this.#video.get()
  }

  /** Returns the oldest audio; waits if there is none. */
  getAudio(): Promise<AudioOutput> {
    return this.#audio.get()
  }

  /** Discards all waiting outputs. */
  clear(): void {
    this.#video.clear()
    this.#audio.clear()
  }
}

class Queue<T> {
  readonly #capacity: number
  readonly #tally: (what: Tally) => void
  readonly #queue: T[] = []
  readonly #waiting: ((output: T) => void)[] = []

  constructor(capacity: number, tally: (what: Tally) => void) {
    this.#capacity = capacity
    this.#tally = tally
  }

  get size(): number {
    return this.#queue.length
  }

  put(output: T): void {
    this.#tally('put')
    const taker = this.#waiting.shift()
    if (taker) {
      taker(output)
      return
    }
    this.#queue.push(output)
    if (this.#queue.length > this.#capacity) {
      this.#queue.shift()
      this.#tally('lost')
    }
  }

  get(): Promise<T> {
    const output = this.#queue.shift()
    if (output) return Promise.resolve(output)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  clear(): void {
    for (const _ of this.#queue.splice(0)) this.#tally('lost')
  }
}
