import { setTimeout as sleep } from 'node:timers/promises'

/** Asks again and again until `look` gives something true, and returns that; fails with `what` after `limitMs`. */
export async function waitFor<T>(
  what: string,
  look: () => T | Promise<T>,
  { limitMs = 20_000, everyMs = 50 } = {},
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
