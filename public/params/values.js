import { nearestOf, problemOfNumber } from './numbers.js'
import { choicesOf, isColor, membersOf, resolve, split } from './schema.js'

/** The server returns this in place of a secret, and keeps the stored secret when it receives it. */
export const MASK = '••••••••'

/** True for equal JSON values, whatever the order of keys. */
export function same(a, b) {
  if (a === b) return true
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]))
}

export const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value)

/**
 * The first value for a schema: its default, or the simplest valid value. Undefined where only the user can know, as
 * for a URL; an object then lacks that member.
 */
export function initial(root, schema, depth = 0) {
  const given = resolve(root, schema)
  if (given.default !== undefined) return given.default
  const { schema: real, nullable, parts } = split(root, given)
  if (nullable) return null
  const choices = choicesOf(root, real, parts)
  if (choices) return choices[0]?.value
  if (parts) return initial(root, parts[0], depth + 1)
  switch (real.type) {
    case 'boolean':
      return false
    case 'integer':
    case 'number':
      return nearestOf(real, 0)
    case 'string':
      return plainText(real)
    case 'array': {
      const items = [...(real.prefixItems ?? [])]
      while (items.length < (real.minItems ?? 0)) items.push(real.items ?? {})
      return depth > 8 ? [] : items.map((item) => initial(root, item, depth + 1))
    }
    case 'object':
      return depth > 8 ? {} : plainObject(root, real, depth)
    default:
      return undefined
  }
}

/** The required members, and those with defaults. */
function plainObject(root, schema, depth) {
  const members = membersOf(root, schema).map(([key, inner, required]) => {
    const wanted = required || resolve(root, inner).default !== undefined
    return [key, wanted ? initial(root, inner, depth + 1) : undefined]
  })
  return Object.fromEntries(members.filter(([, value]) => value !== undefined))
}

function plainText(schema) {
  const now = new Date().toISOString()
  const forms = { date: now.slice(0, 10), 'date-time': now }
  const tries = ['', isColor(schema) ? '#000000' : undefined, forms[schema.format]]
  return tries.find((text) => text !== undefined && problemOfText(schema, text) === undefined)
}

/** Whether the schema takes the value, as far as the browser can check. */
export function fits(root, schema, value) {
  if (value === undefined) return false
  const { schema: real, nullable, parts } = split(root, schema)
  if (value === null && nullable) return true
  const choices = choicesOf(root, real, parts)
  if (choices) return choices.some((choice) => same(choice.value, value))
  if (parts) return parts.some((part) => fits(root, part, value))
  switch (real.type) {
    case 'boolean':
      return typeof value === 'boolean'
    case 'integer':
    case 'number':
      return typeof value === 'number' && problemOfNumber(real, value) === undefined
    case 'string':
      return typeof value === 'string' && problemOfText(real, value) === undefined
    case 'array':
      return Array.isArray(value) && problemOfList(root, real, value) === undefined
    case 'object':
      return isObject(value) && objectFits(root, real, value)
    default:
      return real.not === undefined && !(value === null && real.type !== undefined)
  }
}

function objectFits(root, schema, value) {
  if ((schema.required ?? []).some((key) => value[key] === undefined)) return false
  return Object.entries(value).every(([key, inner]) => {
    const known = schema.properties?.[key] ?? schema.additionalProperties
    return inner !== undefined && (known === undefined || (known !== false && fits(root, known, inner)))
  })
}

/** What is wrong with a list of this schema; undefined when it is valid. */
export function problemOfList(root, schema, value) {
  const { minItems = 0, maxItems, prefixItems = [], items } = schema
  if (value.length < minItems) return `At least ${minItems} ${minItems === 1 ? 'entry' : 'entries'}.`
  if (maxItems !== undefined && value.length > maxItems) return `At most ${maxItems} entries.`
  const wrong = value.findIndex((inner, index) => !fits(root, prefixItems[index] ?? items ?? {}, inner))
  if (wrong >= 0) return `Entry ${wrong + 1} is incomplete.`
  if (!schema.uniqueItems) return undefined
  const twice = value.findIndex((inner, index) => value.slice(0, index).some((earlier) => same(earlier, inner)))
  return twice >= 0 ? `Entry ${twice + 1} is a duplicate; entries must be unique.` : undefined
}

/** JSON Schema formats without a pattern, as pydantic writes them. */
const FORMATS = {
  email: [/^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/, 'an e-mail address, such as me@example.org'],
  uri: [/^[a-z][a-z\d+.-]*:\S+$/i, 'a URL, such as https://example.org/'],
  uuid: [/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i, 'a UUID, 32 hexadecimal digits with dashes'],
  ipv4: [/^((25[0-5]|2[0-4]\d|1?\d?\d)(\.|$)){4}$/, 'an IPv4 address, such as 192.0.2.1'],
  date: [/^\d{4}-\d\d-\d\d$/, 'a date, such as 2026-01-31'],
  time: [/^\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?$/i, 'a time, such as 18:30'],
  'date-time': [/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?$/i, 'a date and time'],
  duration: [
    /^P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)$/,
    'a duration, such as PT1M30S for a minute and a half',
  ],
}

/** What is wrong with a text of this schema; undefined when it is valid. */
export function problemOfText({ minLength = 0, maxLength, pattern, format }, value) {
  if (value.length < minLength) return `At least ${minLength} ${minLength === 1 ? 'character' : 'characters'}.`
  if (maxLength !== undefined && value.length > maxLength) return `At most ${maxLength} characters.`
  const [form, words] = FORMATS[format] ?? []
  if (form && !form.test(value)) return `Enter ${words}.`
  if (pattern && !matches(pattern, value)) return words ? `Enter ${words}.` : `It must match ${pattern}.`
  return undefined
}

/** A pattern that this browser cannot parse is left to the server. */
export function matches(pattern, value) {
  try {
    return new RegExp(pattern, 'u').test(value)
  } catch {
    return true
  }
}

/**
 * The merge patch (RFC 7396) from one set of params to another; undefined where none exists, because a patch cannot set
 * a member to null.
 */
export function mergePatch(before, after) {
  const patch = {}
  for (const key of Object.keys(before)) if (after[key] === undefined) patch[key] = null
  for (const [key, value] of Object.entries(after)) {
    if (value === undefined || same(before[key], value)) continue
    if (value === null) return undefined
    patch[key] = isObject(value) ? mergePatch(isObject(before[key]) ? before[key] : {}, value) : value
    if (patch[key] === undefined) return undefined
  }
  return patch
}
