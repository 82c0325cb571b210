// JSON (RFC 8259) from untrusted sources, within limits that the rest of the server can handle.
// Bound: time and memory grow with the text: 256 levels, and 20 places in a refusal.
import { AppError, type Issue } from '../core/errors.ts'

/** Nesting limit of objects and lists. Recursive functions overflow the stack at some thousands of levels. */
const MAX_DEPTH = 256
/** Limit of places that an error names. */
const MAX_ISSUES = 20

/**
 * Parses an untrusted text; `what` is its name in error messages.
 * @throws AppError `invalid-request` for text that is not JSON or is nested too deeply; `invalid-params` with the
 * places of numbers beyond the range of a double: `1e400` would be Infinity here, and null when sent on.
 */
export function parseJson(text: string, what: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new AppError('invalid-request', `${what} is not JSON: ${(cause as Error).message}`, { cause })
  }
  checkJson(value, what)
  return value
}

/**
 * The same for text with params in it; `member` says where, and without it all of it is params. @throws AppError as
 * `parseJson`, and `invalid-params` for whole numbers in the params that a double holds as another one, such as most
 * seeds of 64 bits.
 */
export function parseExactJson(text: string, what: string, member?: string): unknown {
  const value = parseJson(text, what)
  if (LONG_NUMBER.test(text)) checkWholeNumbers(text, what, member)
  return value
}

/** An object of params, or with them. @throws AppError as `parseExactJson`, and `invalid-request` for any other value. */
export function parseJsonObject(text: string, what: string, member?: string): Record<string, unknown> {
  const value = parseExactJson(text, what, member)
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new AppError('invalid-request', `${what} must be a JSON object of params, such as {"effect":"invert"}`)
  }
  return value as Record<string, unknown>
}

/** Sixteen digits and more, which doubles do not hold all of. */
const LONG_NUMBER = /\d{16}/

type Source = { source?: string }
type Reviver = (this: object, key: string, value: unknown, context: Source) => unknown

function checkWholeNumbers(text: string, what: string, member: string | undefined): void {
  // Of what lies in a value, by places from there: members are looked at before the value that they are in.
  const inside = new WeakMap<object, Issue[]>()
  let found: Issue[] = []
  const look: Reviver = function (key, value, { source = '' }) {
    if (typeof value === 'number' && /^-?\d{16,}$/.test(source) && Math.abs(value) < 1e21 && String(value) !== source)
      found = [{ path: [], message: `this whole number would become ${value}; up to 2^53 they are exact` }]
    else found = value !== null && typeof value === 'object' ? (inside.get(value) ?? []) : []
    if (found.length === 0) return value
    const step = Array.isArray(this) ? Number(key) : key
    const places = inside.get(this) ?? []
    inside.set(this, places)
    for (const { path, message } of found.slice(0, MAX_ISSUES)) places.push({ path: [step, ...path], message })
    return value
  }
  JSON.parse(text, look as Parameters<typeof JSON.parse>[1])
  const refused = member === undefined ? found : found.filter(({ path }) => path[0] === member)
  if (refused.length > 0) throw refusal(refused.slice(0, MAX_ISSUES), what)
}

function refusal(issues: Issue[], what: string): AppError {
  const places = issues.map(({ path }) => path.join('.') || 'the value').join(', ')
  return new AppError('invalid-params', `${what} has numbers beyond what JSON carries safely: ${places}`, { issues })
}

type Place = { value: object; key: string | number | undefined; parent: Place | undefined; depth: number }

/** Depth and range of numbers. @throws AppError as `parseJson`. */
function checkJson(value: unknown, what: string): void {
  const issues: Issue[] = []
  const waiting: Place[] = []
  const look = (value: unknown, key: Place['key'], parent: Place | undefined) => {
    const depth = (parent?.depth ?? 0) + 1
    if (typeof value === 'number' && !Number.isFinite(value)) {
      if (issues.length < MAX_ISSUES) issues.push({ path: pathOf(key, parent), message: 'the number is too large' })
    } else if (value !== null && typeof value === 'object') {
      if (depth > MAX_DEPTH)
        throw new AppError('invalid-request', `${what} is nested more than ${MAX_DEPTH} levels deep`)
      waiting.push({ value, key, parent, depth })
    }
  }
  look(value, undefined, undefined)
  for (let place = waiting.pop(); place; place = waiting.pop()) {
    if (Array.isArray(place.value)) for (const [index, item] of place.value.entries()) look(item, index, place)
    else for (const [key, item] of Object.entries(place.value)) look(item, key, place)
  }
  if (issues.length > 0) throw refusal(issues, what)
}

function pathOf(key: Place['key'], parent: Place | undefined): (string | number)[] {
  const path: (string | number)[] = []
  if (key !== undefined) path.push(key)
  for (let at = parent; at; at = at.parent) if (at.key !== undefined) path.unshift(at.key)
  return path
}
