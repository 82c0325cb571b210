import { h, prose } from '../dom.js'

/** Follows references within the document; a named schema keeps its name. */
export function resolver(document) {
  return (schema) => {
    const name = /^#\/components\/schemas\/(.+)$/.exec(schema?.$ref ?? '')?.[1]
    return name ? { name, schema: document.components.schemas[name] ?? {} } : { name: undefined, schema: schema ?? {} }
  }
}

/** A schema as rows of name, type and description; nested objects and lists open on demand. */
export function schemaView(given, resolve, depth = 0) {
  const { schema } = resolve(given)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices && !schema.properties) {
    return h(
      'ul',
      { class: 'choices' },
      choices.map((choice) => h('li', {}, typeView(choice, resolve), nested(choice, resolve, depth))),
    )
  }
  if (schema.type === 'array') return schemaView(schema.items, resolve, depth)
  const required = new Set(schema.required ?? [])
  const fields = Object.entries(schema.properties ?? {})
  if (fields.length === 0) return undefined
  return h(
    'dl',
    { class: 'fields' },
    fields.flatMap(([name, field]) => {
      const text = field.description ?? resolve(field).schema.description
      return [
        h('dt', {}, h('code', {}, name), required.has(name) ? '' : h('span', { class: 'muted small' }, ' optional')),
        h('dd', {}, typeView(field, resolve), text ? h('p', {}, prose(text)) : '', nested(field, resolve, depth)),
      ]
    }),
  )
}

function nested(field, resolve, depth) {
  const inner = innermost(field, resolve)
  if (!inner || depth > 4) return undefined
  const view = schemaView(inner, resolve, depth + 1)
  return view && h('details', {}, h('summary', {}, 'Fields'), view)
}

/** The object that a field holds, directly or in a list; undefined if none. */
function innermost(field, resolve) {
  const { schema } = resolve(field)
  if (schema.type === 'array') return innermost(schema.items, resolve)
  return schema.properties || schema.anyOf || schema.oneOf ? field : undefined
}

function typeView(given, resolve) {
  return h('span', { class: 'type' }, typeText(given, resolve))
}

export function typeText(given, resolve) {
  const { name, schema } = resolve(given)
  if (name) return name
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return choices.map((choice) => typeText(choice, resolve)).join(' | ')
  if (schema.type === 'array') return `list of ${typeText(schema.items, resolve)}`
  const type = [schema.type ?? 'any'].flat().join(' | ')
  const bounds = [
    schema.minimum !== undefined && schema.minimum > Number.MIN_SAFE_INTEGER ? `from ${schema.minimum}` : '',
    schema.maximum !== undefined && schema.maximum < Number.MAX_SAFE_INTEGER ? `to ${schema.maximum}` : '',
    schema.minLength ? `at least ${schema.minLength} long` : '',
  ].filter((text) => text !== '')
  return bounds.length > 0 ? `${type}, ${bounds.join(' ')}` : type
}
