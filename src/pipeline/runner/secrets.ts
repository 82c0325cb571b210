import { MASK } from '../../core/masked.ts'
import type { Values } from '../protocol.ts'

type Schema = Record<string, unknown>

/** Replaces each value that the JSON Schema marks as `writeOnly` or as a password by a mask; empty values stay. */
export function maskSecrets(schema: Schema, params: Values): Values {
  return mask(schema, params, schema, []) as Values
}

/** `seen`: the references that led here from the same value. */
function mask(node: unknown, value: unknown, root: Schema, seen: readonly string[]): unknown {
  if (!isObject(node) || value === undefined || value === null || value === '') return value
  if (node.writeOnly === true || node.format === 'password') return MASK
  let masked: unknown = value
  for (const alternative of [node.anyOf, node.oneOf, node.allOf].flat()) masked = mask(alternative, masked, root, seen)
  const { $ref } = node
  if (typeof $ref === 'string' && !seen.includes($ref))
    masked = mask(resolve($ref, root), masked, root, [...seen, $ref])
  if (Array.isArray(masked)) {
    const { items } = node
    const places = Array.isArray(node.prefixItems) ? node.prefixItems : []
    return masked.map((inner, index) => mask(places[index] ?? items, inner, root, []))
  }
  if (!isObject(masked)) return masked
  const properties = isObject(node.properties) ? node.properties : {}
  const entries = Object.entries(masked).map(([key, inner]) => {
    const known = Object.hasOwn(properties, key) ? properties[key] : node.additionalProperties
    return [key, mask(known, inner, root, [])]
  })
  return Object.fromEntries(entries)
}

/** Resolves a JSON Pointer within the schema, such as `#` or `#/$defs/Name`. */
function resolve(reference: string, root: Schema): unknown {
  const [, ...path] = reference.split('/')
  let node: unknown = root
  for (const key of path) node = isObject(node) ? node[key.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined
  return node
}

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
