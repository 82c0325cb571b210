import type { AudioFrame } from 'millrace/pipeline'

/** In dB relative to full scale: a sine at full scale has a peak of 0 and an RMS of -3. */
export type Level = { rmsDb: number; peakDb: number }

/** Level of silence, whose logarithm is not a JSON number. */
const SILENCE_DB = -120

/** Accumulates audio until a level is due. */
export class LevelMeter {
  #squares: number[] = []
  #peaks: number[] = []
  #samples = 0

  /** One level per channel over all audio since the last ones; undefined until `intervalMs` of audio have come. */
  add({ data, channels, sampleRate }: AudioFrame, intervalMs: number): Level[] | undefined {
    if (this.#squares.length !== channels) this.#restart(channels)
    for (let i = 0; i < data.length; i++) {
      const channel = i % channels
      const sample = data[i]!
      this.#squares[channel]! += sample * sample
      this.#peaks[channel] = Math.max(this.#peaks[channel]!, Math.abs(sample))
    }
    this.#samples += data.length / channels
    if (this.#samples < (intervalMs * sampleRate) / 1000) return undefined
    const levels = this.#squares.map((sum, channel) => ({
      rmsDb: decibels(Math.sqrt(sum / this.#samples)),
      peakDb: decibels(this.#peaks[channel]!),
    }))
    this.#restart(channels)
    return levels
  }

  #restart(channels: number): void {
    this.#squares = new Array(channels).fill(0)
    this.#peaks = new Array(channels).fill(0)
    this.#samples = 0
  }
}

/** Rounded to a tenth. */
function decibels(share: number): number {
  return Math.max(SILENCE_DB, Math.round(200 * Math.log10(share)) / 10)
}
