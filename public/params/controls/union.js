import { h } from '../../dom.js'
import { label } from '../../words.js'
import { specOf } from '../schema.js'
import { fits, initial, isObject } from '../values.js'
import { groupLabel, labelOver, titleOf } from './parts.js'

const TYPES = {
  number: 'Number',
  integer: 'Whole number',
  string: 'Text',
  boolean: 'On or off',
  array: 'List',
  object: 'Object',
}

/** One of several schemas: a choice of the schema, and its control. */
export function union(spec, id, { describedBy, change, nest }) {
  const { root, parts } = spec
  const title = titleOf(spec)
  const which = h(
    'select',
    { id, 'aria-label': `${title}, kind` },
    parts.map((part, index) => h('option', { value: index }, naming(part, parts))),
  )
  const body = h('div', {})
  const fields = []
  const kept = []
  let at = 0

  const fieldFor = (index) => {
    fields[index] ??= nest(
      specOf(root, spec.name, { ...parts[index], title: undefined, description: '' }, { required: true }),
      (next) => {
        kept[index] = next
        change(next)
      },
      { says: title },
    )
    return fields[index]
  }
  const open = (index, value) => {
    at = index
    which.value = index
    kept[index] = value
    const field = fieldFor(index)
    field.show(value)
    body.replaceChildren(field.element)
    return field
  }
  which.addEventListener('change', () => {
    const index = Number(which.value)
    const value = kept[index] ?? tagged(parts[index], initial(root, parts[index]))
    const field = open(index, value)
    if (fits(root, parts[index], value)) change(value)
    else field.say('Enter a value; nothing is sent until then.')
  })
  const set = (value) => {
    const taking = parts.flatMap((part, index) => (fits(root, part, value) ? [[index, unnamed(part, value)]] : []))
    const [found] = taking.toSorted(([, a], [, b]) => a - b)[0] ?? []
    open(found ?? at, value)
  }
  const element = h(
    'div',
    { class: 'group union', role: 'group', 'aria-labelledby': groupLabel(id), 'aria-describedby': describedBy },
    which,
    body,
  )
  return { element, set, mark: () => {}, labelled: labelOver(id), typing: true }
}

/** How many members of a value an alternative does not name: it may take them, but another one may mean them. */
const unnamed = ({ properties }, value) =>
  isObject(value) ? Object.keys(value).filter((key) => !Object.hasOwn(properties ?? {}, key)).length : 0

/** pydantic gives the constant that identifies the alternative as a default and does not require it. */
function tagged(part, value) {
  const tags = Object.entries(part.properties ?? {}).filter(([, inner]) => inner?.const !== undefined)
  return tags.length > 0 ? { ...Object.fromEntries(tags.map(([key, inner]) => [key, inner.const])), ...value } : value
}

/** The alternative's title, constant or type, numbered where two are alike. */
function naming(part, parts) {
  const name = plainName(part)
  const alike = parts.filter((other) => plainName(other) === name)
  return alike.length > 1 ? `${name} ${alike.indexOf(part) + 1}` : name
}

function plainName(part) {
  const tag = Object.values(part.properties ?? {}).find((inner) => inner?.const !== undefined)
  if (part.title) return part.title
  if (tag) return label(String(tag.const))
  if (part.const !== undefined) return label(String(part.const))
  return part.enum ? part.enum.map(String).join(', ') : (TYPES[part.type] ?? 'Anything')
}
