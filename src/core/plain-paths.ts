import { readdirSync } from 'node:fs'

/** Names in this machine's root directory: a path that begins with one of them is a file path and not a route. */
const roots = new Set(rootNames())
const PATH = /(?<![\w:/.-])(?:file:\/\/)?\/([\w.@+-]+)\/(?:[^\s'"`:,;()<>/]+\/)*([^\s'"`:,;()<>/]*)/g

/** Shortens absolute paths of this machine to their last part: file locations are not for clients. */
export function withoutPaths(text: string): string {
  return text.replace(PATH, (path, root: string, last: string) => (roots.has(root) ? last || root : path))
}

/** The same for every text in a JSON value. */
export function plainly<T>(value: T): T {
  if (typeof value === 'string') return withoutPaths(value) as T
  if (Array.isArray(value)) return value.map(plainly) as T
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plainly(inner)])) as T
}

function rootNames(): string[] {
  try {
    return readdirSync('/')
  } catch {
    return []
  }
}
