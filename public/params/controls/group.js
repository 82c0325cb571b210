import { h } from '../../dom.js'
import { membersOf, specOf } from '../schema.js'
import { fits, isObject, problemOfList } from '../values.js'
import { groupLabel, labelOver, titleOf } from './parts.js'

const UNFINISHED = 'Fill in the empty fields first; nothing is sent until then.'

const frame = (id, describedBy, children) =>
  h(
    'div',
    { class: 'group', role: 'group', 'aria-labelledby': groupLabel(id), 'aria-describedby': describedBy },
    children,
  )

/** An object: one field per member. */
export function group(spec, id, { describedBy, change, invalid, nest }) {
  const { root, schema } = spec
  let value = {}
  const members = membersOf(root, schema).filter(([, inner]) => !isTag(inner))
  const fields = members.map(([name, inner, required]) => {
    const member = specOf(root, name, inner, { required })
    const edited = (next) => {
      value = { ...value, [name]: next }
      if (next === undefined) delete value[name]
      if (fits(root, schema, value)) change(value)
      else invalid(UNFINISHED)
    }
    return [name, nest(member, edited)]
  })
  const set = (given) => {
    value = isObject(given) ? given : {}
    for (const [name, field] of fields) field.show(value[name] === undefined ? field.spec.fallback : value[name])
  }
  const element = frame(
    id,
    describedBy,
    fields.map(([, field]) => field.element),
  )
  return { element, set, mark: () => {}, labelled: labelOver(id), typing: true }
}

/** A constant identifies the alternative of a union; there is nothing to edit. */
const isTag = (schema) => schema?.const !== undefined

/** A list with a fixed meaning for each position, as in [x, y]. */
export function tuple(spec, id, { describedBy, change, invalid, nest }) {
  const { root, schema } = spec
  let value = []
  const fields = schema.prefixItems.map((inner, index) => {
    const member = specOf(root, `${index + 1}`, inner, { required: true })
    const edited = (next) => {
      value = value.with(index, next)
      const wrong = problemOfList(root, schema, value)
      if (wrong) invalid(wrong)
      else change(value)
    }
    return nest(member, edited, inner.title ? {} : { says: `${titleOf(spec)} ${index + 1}` })
  })
  const set = (given) => {
    value = fields.map((field, index) => given?.[index] ?? field.spec.fallback)
    for (const [index, field] of fields.entries()) field.show(value[index])
  }
  const element = frame(
    id,
    describedBy,
    fields.map(({ element }) => element),
  )
  element.classList.add('tuple')
  return { element, set, mark: () => {}, labelled: labelOver(id), typing: true }
}
