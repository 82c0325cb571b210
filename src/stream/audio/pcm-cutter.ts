import { msToTicks, TICKS_PER_SECOND } from '../../core/clock.ts'
import { type AudioFrame, audioTicks, PCM_RATE, samplesIn, ticksIn } from '../../core/media/audio.ts'

/** Time stamps may be off by this much, from rounding, before samples are dropped or silence is inserted. */
const TOLERANCE_TICKS = msToTicks(10)
/** A longer gap is not filled; the audio after it starts anew. */
const MAX_GAP_TICKS = TICKS_PER_SECOND

/**
 * Cuts PCM pieces of any length into frames of one length with consecutive `pts`. Short gaps become silence and
 * overlaps are dropped, so that audio and video stay in sync.
 */
export class PcmCutter {
  readonly #samples: number
  readonly #emit: (frame: AudioFrame) => void
  #channels = 0
  /** Time of the first sample; `#taken` counts the samples per channel output since. */
  #base = 0
  #taken = 0
  #begun = false
  #part: Float32Array | undefined
  #filled = 0

  /** `frameMs` is 10 or 20. */
  constructor(frameMs: number, emit: (frame: AudioFrame) => void) {
    this.#samples = samplesIn(frameMs)
    this.#emit = emit
  }

  push(piece: AudioFrame): void {
    const { channels, pts } = piece
    const gap = pts - (this.#base + ticksIn(this.#taken + this.#filled / channels))
    const length = this.#samples * channels
    if (channels !== this.#channels || !this.#begun || Math.abs(gap) > MAX_GAP_TICKS) this.#begin(channels, pts)
    else if (gap > TOLERANCE_TICKS) this.#append(new Float32Array(samplesOf(gap) * channels))
    else if (gap < -TOLERANCE_TICKS) {
      const left = piece.data.subarray(samplesOf(-gap) * channels)
      if (left.length > 0) this.#append(left)
      return
    }
    if (this.#filled === 0 && piece.data.length === length) this.#send(piece.data)
    else this.#append(piece.data)
  }

  /** Outputs an incomplete frame, padded with silence. */
  flush(): void {
    if (this.#part && this.#filled > 0) this.#append(new Float32Array(this.#part.length - this.#filled))
  }

  #begin(channels: number, pts: number): void {
    this.flush()
    this.#begun = true
    this.#channels = channels
    this.#base = pts
    this.#taken = 0
  }

  #append(data: Float32Array): void {
    const length = this.#samples * this.#channels
    for (let at = 0; at < data.length; ) {
      this.#part ??= new Float32Array(length)
      const piece = data.subarray(at, at + length - this.#filled)
      this.#part.set(piece, this.#filled)
      this.#filled += piece.length
      at += piece.length
      if (this.#filled < length) continue
      const whole = this.#part
      this.#part = undefined
      this.#filled = 0
      this.#send(whole)
    }
  }

  #send(data: Float32Array): void {
    const pts = Math.round(this.#base + ticksIn(this.#taken))
    this.#taken += data.length / this.#channels
    this.#emit({ data, sampleRate: PCM_RATE, channels: this.#channels, pts })
  }
}

/** The part of a frame from `from` on; undefined if there is none. */
export function trimBefore(frame: AudioFrame, from: number): AudioFrame | undefined {
  if (from <= frame.pts) return frame
  if (from >= frame.pts + audioTicks(frame)) return undefined
  const samples = samplesOf(from - frame.pts)
  const data = frame.data.subarray(samples * frame.channels)
  return data.length > 0 ? { ...frame, data, pts: frame.pts + Math.round(ticksIn(samples)) } : undefined
}

/** The part of a frame before `until`; undefined if there is none. */
export function trimAfter(frame: AudioFrame, until: number): AudioFrame | undefined {
  if (until >= frame.pts + audioTicks(frame)) return frame
  if (until <= frame.pts) return undefined
  const data = frame.data.subarray(0, samplesOf(until - frame.pts) * frame.channels)
  return data.length > 0 ? { ...frame, data } : undefined
}

export function silence(pts: number, ticks: number): AudioFrame {
  return { data: new Float32Array(samplesOf(ticks) * 2), sampleRate: PCM_RATE, channels: 2, pts }
}

function samplesOf(ticks: number): number {
  return Math.round((ticks * PCM_RATE) / TICKS_PER_SECOND)
}
