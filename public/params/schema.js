import { positionsOf, stepFor } from './numbers.js'

/** Params of every pipeline, shown apart from the pipeline's own. */
const COMMON = ['width', 'height', 'show_reloading_frame']

const MAX_CHIPS = 8
const MAX_CHIP_TEXT = 60

/** The schema with its `$ref` and `allOf` resolved; `root` holds the definitions. */
export function resolve(root, schema) {
  if (schema === false) return { not: {} }
  if (schema === null || typeof schema !== 'object') return {}
  let found = schema
  // A circular chain of references has no content.
  for (let hops = 0; typeof found.$ref === 'string' && hops < 20; hops++) {
    const { $ref, ...own } = found
    found = { ...lookUp(root, $ref), ...own }
  }
  if (!Array.isArray(found.allOf)) return found
  const { allOf, ...own } = found
  return allOf.map((part) => resolve(root, part)).reduce(both, own)
}

function lookUp(root, pointer) {
  if (!pointer.startsWith('#')) return {}
  const steps = pointer.slice(1).split('/').slice(1)
  const found = steps.reduce(
    (at, step) => at?.[decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')],
    root,
  )
  return found !== null && typeof found === 'object' ? found : {}
}

function both(own, part) {
  const merged = { ...part, ...own }
  if (own.properties && part.properties) merged.properties = { ...part.properties, ...own.properties }
  if (own.required && part.required) merged.required = [...new Set([...part.required, ...own.required])]
  return merged
}

/**
 * A schema apart from null: `nullable` says whether it also takes null; `parts` are the resolved alternatives if there
 * are several.
 */
export function split(root, given) {
  const schema = resolve(root, given)
  let nullable = schema.nullable === true || schema.type === 'null' || schema.const === null
  if (Array.isArray(schema.enum) && schema.enum.includes(null)) {
    const real = schema.enum.filter((value) => value !== null)
    return { ...split(root, { ...schema, enum: real }), nullable: true }
  }
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== 'null')
    nullable ||= types.length < schema.type.length
    if (types.length === 1 || schema.enum) return { schema: { ...schema, type: types[0] }, nullable }
    return { schema, nullable, parts: types.map((type) => ({ ...schema, type, default: undefined, title: undefined })) }
  }
  const alternatives = schema.anyOf ?? schema.oneOf
  if (!Array.isArray(alternatives) || alternatives.length === 0) return { schema, nullable }
  const flat = alternatives.flatMap((one) => {
    const inner = split(root, one)
    nullable ||= inner.nullable
    return inner.parts ?? (inner.schema.type === 'null' || inner.schema.const === null ? [] : [inner.schema])
  })
  const { anyOf, oneOf, ...own } = schema
  if (flat.length === 1) return { schema: { ...flat[0], title: undefined, default: undefined, ...own }, nullable }
  return { schema: own, nullable, parts: flat }
}

/** The values of a schema that takes only constants, each with its title if it has one. */
export function choicesOf(root, schema, parts) {
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => ({ value }))
  if (schema.const !== undefined && schema.const !== null) return [{ value: schema.const, title: schema.title }]
  if (!parts?.every((part) => part.const !== undefined || Array.isArray(part.enum))) return undefined
  return parts.flatMap((part) => choicesOf(root, part))
}

/**
 * How to edit one property of a JSON Schema: `{ name, kind, title, description, fallback, empty, … }`. `empty` is set
 * if the param may have no value: `{ value: null }`, or `{ value: undefined }` if it is then left out.
 */
export function specOf(root, name, property, { fallback, required = false } = {}) {
  const own = property !== null && typeof property === 'object' ? property : {}
  const { schema, nullable, parts } = split(root, own)
  const value = fallback === undefined ? (own.default ?? schema.default) : fallback
  const base = {
    root,
    name,
    title: own.title,
    description: own.description ?? schema.description ?? '',
    fallback: value,
    schema,
    parts,
    empty: emptyOf(nullable || value === null, value === undefined && !required),
  }
  return { ...base, ...kindOf(base) }
}

function emptyOf(nullable, absent) {
  if (nullable) return { value: null }
  return absent ? { value: undefined } : undefined
}

function kindOf(base) {
  const { root, schema, parts, empty } = base
  const choices = choicesOf(root, schema, parts)
  if (choices) {
    const text = choices.map(({ value, title }) => title ?? String(value)).join('')
    return { kind: choices.length <= MAX_CHIPS && text.length <= MAX_CHIP_TEXT ? 'chips' : 'select', choices }
  }
  if (parts) return maybe(empty, { kind: 'union' })
  switch (schema.type) {
    case 'boolean':
      return empty
        ? {
            kind: 'chips',
            choices: [
              { value: true, title: 'On' },
              { value: false, title: 'Off' },
            ],
          }
        : { kind: 'switch' }
    case 'integer':
    case 'number':
      return numberKind(base)
    case 'string':
      return textKind(base)
    case 'array':
      return maybe(empty, arrayKind(root, schema))
    case 'object':
      return objectKind(root, empty, schema)
    default:
      return { kind: 'json' }
  }
}

/** A kind without an empty state of its own gets a switch before it. */
const maybe = (empty, kind) => (empty ? { kind: 'maybe', inner: kind } : kind)

function numberKind({ name, schema, empty }) {
  const positions = positionsOf(schema)
  const integer = schema.type === 'integer'
  const seed = integer && /seed/i.test(name)
  // A missing value has no slider position; null turns the slider off.
  if (positions === undefined || (empty && empty.value === undefined)) {
    const range = positions ?? { step: schema.multipleOf ?? (integer ? 1 : stepFor(schema.minimum, schema.maximum)) }
    return { kind: 'number', integer, seed, ...range }
  }
  return maybe(empty, { kind: 'slider', integer, ...positions })
}

function textKind({ name, schema, fallback, empty }) {
  const { contentEncoding, contentMediaType = '', format, maxLength = 0 } = schema
  const binary = /^base(64|64url)$/.test(contentEncoding ?? format ?? '')
  if (binary || /^(byte|binary|data-url)$/.test(format ?? '') || /^(image|audio|video)\//.test(contentMediaType))
    return { kind: 'file' }
  if (schema.writeOnly || format === 'password') return { kind: 'secret' }
  if (isColor(schema)) return maybe(empty, { kind: 'color' })
  if (format === 'date' || format === 'date-time') return { kind: format }
  const text = typeof fallback === 'string' ? fallback : ''
  const plain = schema.pattern === undefined && format === undefined
  const wordy = plain && /(^|_)(prompt|text|description|caption|instructions?)$/i.test(name)
  const long = maxLength > 80 || text.length > 60 || text.includes('\n') || contentMediaType.startsWith('text/')
  return { kind: long || /^(textarea|multiline)$/.test(format ?? '') || (wordy && maxLength === 0) ? 'long' : 'text' }
}

/** By format, or by a pattern that takes colours such as #1a2b3c, but neither a shorter one nor one without `#`. */
export function isColor({ format, pattern }) {
  if (format === 'color') return true
  if (pattern === undefined) return false
  try {
    const form = new RegExp(pattern, 'u')
    const takes = ['#1a2b3c', '#1A2B3C', '#000000'].map((text) => form.test(text))
    return (takes[0] || takes[1]) && takes[2] && !['', 'x', '1a2b3c', '#zzzzzz', '0'].some((text) => form.test(text))
  } catch {
    return false
  }
}

function arrayKind(root, schema) {
  // With further places after those that have a meaning each, it is written best as JSON.
  const open = schema.items !== undefined && schema.items !== false && !(schema.maxItems <= schema.prefixItems?.length)
  if (schema.prefixItems?.length > 0) return { kind: open ? 'json' : 'tuple' }
  const items = schema.items ?? {}
  const { schema: real, parts, nullable } = split(root, items)
  const choices = choicesOf(root, real, parts)
  if (schema.uniqueItems && !nullable && choices) return { kind: 'checks', choices }
  // A list of arbitrary values is best edited as JSON.
  return parts || choices || real.type !== undefined ? { kind: 'list' } : { kind: 'json' }
}

function objectKind(root, empty, schema) {
  const { properties = {}, additionalProperties } = schema
  if (Object.keys(properties).length > 0 || namesOf(root, schema)) return maybe(empty, { kind: 'group' })
  const typed = additionalProperties !== null && typeof additionalProperties === 'object'
  return typed && Object.keys(additionalProperties).length > 0 ? maybe(empty, { kind: 'map' }) : { kind: 'json' }
}

/** The names that an object may have, if its schema lists them. */
function namesOf(root, { propertyNames }) {
  if (propertyNames === undefined) return undefined
  const { enum: names, const: name } = resolve(root, propertyNames)
  return names ?? (name === undefined ? undefined : [name])
}

/** The members of an object schema as `[name, schema, required]`, in the author's order. */
export function membersOf(root, schema) {
  const { properties = {}, additionalProperties, required = [] } = schema
  const named = (namesOf(root, schema) ?? [])
    .filter((name) => !Object.hasOwn(properties, name))
    .map((name) => [name, additionalProperties ?? {}])
  return [...Object.entries(properties), ...named].map(([name, schema]) => [name, schema, required.includes(name)])
}

/** Specs of all properties in the author's order, those that every pipeline has last. */
export function fieldsOf(root, defaults) {
  const fields = membersOf(root, resolve(root, root)).map(([name, property, required]) => ({
    ...specOf(root, name, property, { fallback: defaults[name], required }),
    common: COMMON.includes(name),
  }))
  const own = fields.filter(({ common }) => !common)
  const common = fields.filter(({ common }) => common)
  const [width, height] = ['width', 'height'].map((side) => common.find(({ name }) => name === side))
  if (!width || !height || width.schema.type !== 'integer' || height.schema.type !== 'integer')
    return [...own, ...common]
  return [...own, resolution(width, height), ...common.filter((field) => field !== width && field !== height)]
}

/** Width and height are one field: the server refuses one without the other. */
function resolution(width, height) {
  const both = width.fallback !== undefined && height.fallback !== undefined
  return {
    root: width.root,
    name: 'resolution',
    names: ['width', 'height'],
    kind: 'resolution',
    common: true,
    description: 'Width and height in pixels of the frames that the pipeline gets.',
    fallback: both ? { width: width.fallback, height: height.fallback } : undefined,
    sides: [width, height],
    empty: { value: undefined },
  }
}
