import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { ParamsSchema } from '../../sdk/base-params.ts'
import type { Values } from '../protocol.ts'
import { maskSecrets } from './secrets.ts'

/**
 * The params as the API shows them, so that PUT accepts what GET returns: as given, with defaults. With a
 * `.transform()` a schema returns values that it does not accept itself; these stay inside the pipeline. Names unknown
 * to the schema are left out, and secrets are masked.
 */
export function shownParams(schema: ParamsSchema, given: Values, value: z.output<ParamsSchema>): Values {
  return maskSecrets(jsonSchemaOf(schema), takenParams(schema, given, value))
}

function takenParams(schema: ParamsSchema, given: Values, value: z.output<ParamsSchema>): Values {
  const filled = fill(given, fill(defaultsOf(schema), value)) as Values
  const known = keep(filled, value)
  for (const candidate of [known, filled, given]) if (means(schema, candidate, value)) return candidate
  return given
}

const schemas = new WeakMap<ParamsSchema, Values>()

function jsonSchemaOf(schema: ParamsSchema): Values {
  let known = schemas.get(schema)
  if (!known) {
    known = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
    schemas.set(schema, known)
  }
  return known
}

/** The defaults as a client would send them. */
function defaultsOf(schema: ParamsSchema): Values {
  const { properties = {} } = jsonSchemaOf(schema) as { properties?: Record<string, { default?: unknown }> }
  const entries = Object.entries(properties).filter(([, property]) => property.default !== undefined)
  return Object.fromEntries(entries.map(([key, property]) => [key, property.default]))
}

/** Whether the candidate, as JSON, parses to the same value. */
function means(schema: ParamsSchema, candidate: Values, value: unknown): boolean {
  try {
    const parsed = schema.safeParse(JSON.parse(JSON.stringify(candidate)))
    return parsed.success && isDeepStrictEqual(parsed.data, value)
  } catch {
    return false
  }
}

function fill(given: unknown, value: unknown): unknown {
  if (given === undefined) return value
  if (!isPlain(given) || !isPlain(value)) return given
  const keys = new Set([...Object.keys(value), ...Object.keys(given)])
  return Object.fromEntries([...keys].map((key) => [key, fill(given[key], value[key])]))
}

/** Without the names that are not in `value`. */
function keep(shown: Values, value: Values): Values {
  const entries = Object.entries(shown).filter(([key]) => key in value)
  return Object.fromEntries(
    entries.map(([key, inner]) => [key, isPlain(inner) && isPlain(value[key]) ? keep(inner, value[key]) : inner]),
  )
}

function isPlain(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
