import { setTimeout as sleep } from 'node:timers/promises'

/** A second's work on an idle machine may take many on a busy one; a long limit costs time only when a test fails. */
export const WAIT_MS = 45_000

/** Polls until `look` returns something truthy, and returns that; rejects with `what` after `limitMs`. */
export async function waitFor<T>(
  what: string,
  look: () => T | Promise<T>,
  { limitMs = WAIT_MS, everyMs = 50 } = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const end = performance.now() + limitMs
  let last: unknown
  for (;;) {
    try {
      const value = await look()
      if (value) return value as NonNullable<Exclude<T, false>>
      last = value
    } catch (thrown) {
      last = thrown
    }
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain for ${what}; last: ${String(last)}`)
    await sleep(everyMs)
  }
}
