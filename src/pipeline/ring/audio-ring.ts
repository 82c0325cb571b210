import { AppError } from '../../core/errors.ts'
import { type AudioFrame, PCM_RATE } from '../../core/media/audio.ts'
import {
  AUDIO,
  AUDIO_MAX_SAMPLES,
  AUDIO_SLOT,
  AUDIO_SLOT_BYTES,
  AUDIO_SLOT_HEADER_BYTES,
  AUDIO_SLOTS,
} from './audio-layout.ts'
import type { Direction } from './frame-ring.ts'

/** An audio frame with the epoch in which it was written. */
export type EpochAudio = { frame: AudioFrame; epoch: number }

/**
 * One direction of PCM in shared memory, for one writer and one reader in different processes. It is a queue, because
 * dropping all but the newest would be audible. Neither side waits; frames without room are dropped and counted by the
 * writer.
 */
export class AudioRing {
  readonly #words: Int32Array
  readonly #slots: { header: Int32Array; pts: Float64Array; samples: Float32Array }[]

  constructor(buffer: ArrayBuffer, direction: Direction) {
    this.#words = new Int32Array(buffer, AUDIO.counters[direction], 3)
    const first = AUDIO.slots + (direction === 'input' ? 0 : AUDIO_SLOTS * AUDIO_SLOT_BYTES)
    this.#slots = Array.from({ length: AUDIO_SLOTS }, (_, index) => {
      const at = first + index * AUDIO_SLOT_BYTES
      return {
        header: new Int32Array(buffer, at, 4),
        pts: new Float64Array(buffer, at + AUDIO_SLOT.pts * 4, 1),
        samples: new Float32Array(buffer, at + AUDIO_SLOT_HEADER_BYTES, AUDIO_MAX_SAMPLES),
      }
    })
  }

  /** Frames written and not yet taken. */
  get waiting(): number {
    return this.#count - this.taken
  }

  get full(): boolean {
    return this.waiting >= AUDIO_SLOTS
  }

  /** Frames taken by the reader; wraps at 32 bits. */
  get taken(): number {
    return Atomics.load(this.#words, AUDIO.taken) | 0
  }

  /** Frames dropped by the writer for lack of room. */
  get lost(): number {
    return Atomics.load(this.#words, AUDIO.lost)
  }

  /** Writer: false if there is no room. @throws AppError `pipeline-failed` for a frame that no slot can hold. */
  write({ data, channels, pts }: AudioFrame, epoch: number): boolean {
    const samples = data.length / channels
    if (!(channels === 1 || channels === 2) || !Number.isInteger(samples) || data.length > AUDIO_MAX_SAMPLES)
      throw new AppError('pipeline-failed', `no slot holds ${data.length} samples of ${channels} channels`)
    const written = this.#count
    if (this.full) {
      this.lose()
      return false
    }
    const slot = this.#slots[index(written)]!
    slot.samples.set(data)
    slot.header[AUDIO_SLOT.epoch] = epoch
    slot.header[AUDIO_SLOT.channels] = channels
    slot.header[AUDIO_SLOT.samples] = samples
    slot.pts[0] = pts
    Atomics.store(this.#words, AUDIO.written, (written + 1) | 0)
    return true
  }

  /** Writer: counts a frame that was dropped before it came here. */
  lose(): void {
    Atomics.add(this.#words, AUDIO.lost, 1)
  }

  /** Reader: a copy of the oldest frame. @throws AppError `pipeline-failed` if the slot holds no valid frame. */
  take(): EpochAudio | undefined {
    const waiting = this.waiting | 0
    if (waiting === 0) return undefined
    const { header, pts, samples } = this.#slots[index(this.taken)]!
    const [epoch, channels, length] = [
      header[AUDIO_SLOT.epoch]!,
      header[AUDIO_SLOT.channels]!,
      header[AUDIO_SLOT.samples]!,
    ]
    const whole = (channels === 1 || channels === 2) && length >= 0 && length * channels <= AUDIO_MAX_SAMPLES
    if (waiting < 0 || waiting > AUDIO_SLOTS || !whole || !Number.isSafeInteger(pts[0]))
      throw new AppError('pipeline-failed', 'a slot of the audio ring has a broken header')
    const data = samples.slice(0, length * channels)
    const frame: AudioFrame = { data, sampleRate: PCM_RATE, channels, pts: pts[0]! }
    Atomics.store(this.#words, AUDIO.taken, (this.taken + 1) | 0)
    return { frame, epoch }
  }

  get #count(): number {
    return Atomics.load(this.#words, AUDIO.written) | 0
  }
}

function index(count: number): number {
  return (count >>> 0) % AUDIO_SLOTS
}
