import { createHash } from 'node:crypto'

/**
 * Identifies a set of params: the MD5 of its JSON with sorted keys, spaced and escaped like Python's `json.dumps`, so
 * that a Livepeer gateway computes the same hash.
 */
export function hashParams(params: Record<string, unknown>): string {
  return createHash('md5').update(canonical(params)).digest('hex')
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(', ')}]`
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${ascii(JSON.stringify(key))}: ${canonical(member)}`)
    return `{${members.join(', ')}}`
  }
  return ascii(JSON.stringify(value) ?? 'null')
}

/** Escapes non-ASCII characters, as Python does by default. */
function ascii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
