/** What every pipeline has; shown apart from the params of its own. */
const COMMON = ['width', 'height', 'show_reloading_frame']

/** zod writes the bounds of safe integers where the author gave none. */
const BOUND_LIMIT = 1e9
const MAX_CHIPS = 8

/**
 * How to edit one property of a JSON Schema: `{ name, kind, description, optional, common, … }` where kind is slider,
 * number, switch, chips, select, color, text or json.
 */
export function fieldOf(name, property, defaults) {
  const schema = unwrap(property)
  const base = {
    name,
    description: property.description ?? schema.description ?? '',
    optional: defaults[name] === undefined && schema.default === undefined,
    fallback: defaults[name] ?? schema.default,
    common: COMMON.includes(name),
    schema,
  }
  if (Array.isArray(schema.enum))
    return { ...base, kind: schema.enum.length <= MAX_CHIPS ? 'chips' : 'select', choices: schema.enum }
  if (schema.const !== undefined) return { ...base, kind: 'chips', choices: [schema.const] }
  switch (schema.type) {
    case 'boolean':
      return { ...base, kind: 'switch' }
    case 'integer':
    case 'number':
      return numberField(base, schema)
    case 'string':
      return { ...base, kind: isColor(schema, base.fallback) ? 'color' : 'text' }
    default:
      return { ...base, kind: 'json' }
  }
}

/** Each property of the params' schema, in the author's order, what all pipelines share last. */
export function fieldsOf(schema, defaults) {
  const fields = Object.entries(schema.properties ?? {}).map(([name, property]) => fieldOf(name, property, defaults))
  return [...fields.filter((field) => !field.common), ...fields.filter((field) => field.common)]
}

/** A slider only where every position can be told from the next; a range of thousands needs a box. */
function numberField(base, schema) {
  const bound = (value) => (typeof value === 'number' && Math.abs(value) < BOUND_LIMIT ? value : undefined)
  const min = bound(schema.minimum ?? schema.exclusiveMinimum)
  const max = bound(schema.maximum ?? schema.exclusiveMaximum)
  const step = schema.multipleOf ?? (schema.type === 'integer' ? 1 : stepFor(min, max))
  const slides = min !== undefined && max !== undefined && !base.optional
  return { ...base, kind: slides ? 'slider' : 'number', min, max, step, integer: schema.type === 'integer' }
}

/** A hundredth of the range, rounded down to 1, 2 or 5 times a power of ten. */
export function stepFor(min, max) {
  if (min === undefined || max === undefined || max <= min) return 'any'
  const raw = (max - min) / 100
  const power = 10 ** Math.floor(Math.log10(raw))
  const times = [5, 2, 1].find((times) => times * power <= raw * 1.001) ?? 1
  return Number((times * power).toPrecision(1))
}

/** The one real schema of `anyOf: [X, null]`; the schema itself otherwise. */
function unwrap(schema) {
  const real = (schema.anyOf ?? schema.oneOf ?? []).filter((part) => part.type !== 'null')
  if (real.length > 0 && real.every((part) => part.const !== undefined))
    return { ...schema, enum: real.map((part) => part.const) }
  return real.length === 1 ? { ...real[0], default: schema.default } : schema
}

function isColor(schema, fallback) {
  return schema.format === 'color' || (/^#[0-9a-f]{6}$/i.test(fallback ?? '') && schema.pattern !== undefined)
}
