import { expect } from 'vitest'

/** A parser's output for an input, in bytes and pieces. */
export type Made = { bytes: number; pieces: number }

const ROUNDS = 5
/** A busy machine may spoil a round; quadratic work has a ratio near 4 in every one. */
const ATTEMPTS = 6
const MAX_GROWTH = 2.2
/** Too fast to be measured, and so harmless. */
const QUICK_MS = 4

/**
 * Expects that twice the input costs at most 2.2 times the CPU time and gives at most 2.2 times the output; and that a
 * MiB costs at most `maxMs`. `run` gets inputs of both sizes from `make`.
 */
export function expectLinear(
  make: (bytes: number) => Uint8Array,
  run: (input: Uint8Array) => Made,
  { bytes = 512 * 1024, maxMs = 1000 } = {},
): void {
  const [once, twice] = [make(bytes), make(2 * bytes)]
  const [small, large] = [run(once), run(twice)]
  expect(large.bytes).toBeLessThanOrEqual(MAX_GROWTH * small.bytes + 128 * 1024)
  expect(large.pieces).toBeLessThanOrEqual(MAX_GROWTH * small.pieces + 1024)
  const seen: number[] = []
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const [first, second] = [leastMs(() => run(once)), leastMs(() => run(twice))]
    expect((second * 1024 * 1024) / twice.length).toBeLessThan(maxMs)
    seen.push(second / first)
    if (second < QUICK_MS || second / first <= MAX_GROWTH) return
  }
  expect(Math.min(...seen)).toBeLessThanOrEqual(MAX_GROWTH)
}

function leastMs(work: () => unknown): number {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage()
    work()
    const { user } = process.cpuUsage(before)
    least = Math.min(least, user / 1000)
  }
  return least
}
