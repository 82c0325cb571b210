type Values = Record<string, unknown>

/** Replaces secrets in params that the API returns. Sent back, it keeps the stored secret. */
export const MASK = '••••••••'

/**
 * Resolves masks in params that may have come from the API: each is replaced by the value of `previous` in its place,
 * and removed if there is none. Time and memory grow with the values.
 */
export function unmasked(given: Values, previous: Values): Values {
  return (fill(given, previous) ?? {}) as Values
}

function fill(given: unknown, previous: unknown): unknown {
  if (given === MASK) return previous
  if (Array.isArray(given)) {
    const before: unknown[] = Array.isArray(previous) ? previous : []
    return given.map((value, index) => fill(value, before[index])).filter((value) => value !== undefined)
  }
  if (!isObject(given)) return given
  const before = isObject(previous) ? previous : {}
  const entries = Object.entries(given).map(([key, value]) => [
    key,
    fill(value, Object.hasOwn(before, key) ? before[key] : undefined),
  ])
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

function isObject(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
