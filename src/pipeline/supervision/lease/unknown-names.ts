import type { Values } from '../../protocol.ts'

/** Levels of a schema to search; recursive schemas have no end. */
const MAX_DEPTH = 32

/**
 * The names in `value` that the JSON Schema does not know and the pipeline drops, as JSON Pointers (RFC 6901).
 * Everything is known where a schema is open.
 */
export function unknownNames(schema: Values, value: unknown): string[] {
  return look(schema, schema, value, '', MAX_DEPTH)
}

function look(root: Values, schema: unknown, value: unknown, path: string, depth: number): string[] {
  if (!isObject(schema) || value === null || typeof value !== 'object' || depth === 0) return []
  if (typeof schema.$ref === 'string') return look(root, resolve(root, schema.$ref), value, path, depth - 1)
  if (Array.isArray(schema.allOf) && schema.allOf.length === 1 && schema.properties === undefined)
    return look(root, schema.allOf[0], value, path, depth - 1)
  const choices = schema.anyOf ?? schema.oneOf
  if (Array.isArray(choices)) {
    // A name is known if any alternative knows it.
    const fitting = choices.filter((choice) => isObject(choice) && choice.type !== 'null')
    const all = fitting.map((choice) => look(root, choice, value, path, depth - 1))
    return (all[0] ?? []).filter((name) => all.every((names) => names.includes(name)))
  }
  if (Array.isArray(value)) {
    if (!isObject(schema.items)) return []
    return value.flatMap((item, index) => look(root, schema.items, item, `${path}/${index}`, depth - 1))
  }
  const { properties, additionalProperties } = schema
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
    if (isObject(properties) && Object.hasOwn(properties, key)) return look(root, properties[key], inner, at, depth - 1)
    if (isObject(additionalProperties)) return look(root, additionalProperties, inner, at, depth - 1)
    const open = !isObject(properties) || additionalProperties === true || schema.patternProperties !== undefined
    return open ? [] : [at]
  })
}

function resolve(root: Values, ref: string): unknown {
  let at: unknown = root
  for (const part of ref.replace(/^#\/?/, '').split('/').filter(Boolean)) at = isObject(at) ? at[part] : undefined
  return at
}

function isObject(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
