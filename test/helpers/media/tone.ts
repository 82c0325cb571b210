import type { SoundPiece } from './probe-ts.ts'

const RATE = 48_000

export type Tone = {
  /** Seconds of audio analysed. */
  seconds: number
  /** Peak level; 1 is full scale. */
  peak: number
  /** Largest difference between consecutive periods, as a share of the peak: 0 for a tone without gap or click. */
  roughest: number
  /** Time of that difference in seconds from the beginning. */
  roughestAt: number
  /** Largest deviation of a time stamp from the samples before it, in ms. */
  largestJumpMs: number
}

/** Analyses a steady tone of `frequency`, whose period is a whole number of samples, between two times in seconds. */
export function measureTone(pieces: SoundPiece[], frequency: number, from = 0, to = Number.POSITIVE_INFINITY): Tone {
  const period = RATE / frequency
  const all = pieces.flatMap(({ samples }) => [...samples])
  const samples = all.slice(from * RATE, Number.isFinite(to) ? to * RATE : undefined)
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)
  let [roughest, roughestAt] = [0, 0]
  for (let i = period; i < samples.length; i++) {
    const change = Math.abs(samples[i]! - samples[i - period]!)
    if (change > roughest) [roughest, roughestAt] = [change, i]
  }
  let [largestJumpMs, count] = [0, 0]
  for (const { pts, samples } of pieces) {
    const expected = pieces[0]!.pts + (count * 90_000) / RATE
    largestJumpMs = Math.max(largestJumpMs, Math.abs(pts - expected) / 90)
    count += samples.length
  }
  return {
    seconds: samples.length / RATE,
    peak: peak / 32_768,
    roughest: peak === 0 ? 0 : roughest / peak,
    roughestAt: from + roughestAt / RATE,
    largestJumpMs,
  }
}

/** Seconds of the longest stretch of a steady tone in which no sample is further than `limit`, of full scale, from that of the period before. */
export function longestSmooth(pieces: SoundPiece[], frequency: number, limit: number): number {
  const period = RATE / frequency
  const samples = Int16Array.from(pieces.flatMap(({ samples }) => Array.from(samples)))
  let [longest, from] = [0, 0]
  for (let i = period; i < samples.length; i++) {
    if (Math.abs(samples[i]! - samples[i - period]!) > limit * 32_768) from = i
    longest = Math.max(longest, i - from)
  }
  return longest / RATE
}
