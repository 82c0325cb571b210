import type { Usage } from './usage.ts'

export type Summary = { frameMs: { p50: number; p95: number; max: number }; keepsUp: boolean }

/** Summarizes times in milliseconds, for a stream with `rate` frames per second. */
export function summary(times: readonly number[], rate: number): Summary {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0
  const p95 = at(0.95)
  return { frameMs: { p50: at(0.5), p95, max: sorted.at(-1) ?? 0 }, keepsUp: p95 <= 1000 / rate }
}

/** CPU time per frame between two readings. */
export function difference(before: Usage, after: Usage, frames: number): number | undefined {
  if (before.cpuMs === undefined || after.cpuMs === undefined || frames === 0) return undefined
  return (after.cpuMs - before.cpuMs) / frames
}
