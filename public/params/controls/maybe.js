import { h } from '../../dom.js'
import { fits, initial } from '../values.js'
import { labelFor, mark, titleOf } from './parts.js'

/** A value that may be empty: a switch, and the value's control while it is on. */
export function maybe(spec, id, { describedBy, change, nest }) {
  const { root, schema, parts, empty, inner } = spec
  const whole = parts ? { ...schema, anyOf: parts } : schema
  const box = h('input', { type: 'checkbox', role: 'switch', id, 'aria-describedby': describedBy })
  const body = h('div', { class: 'maybe-body' })
  const element = h('div', { class: 'maybe' }, box, body)
  let value
  let field

  // Built on demand: a schema that contains itself has no end.
  const open = (first) => {
    value = first
    if (!field) {
      const own = { ...spec, ...inner, inner: undefined, empty: undefined, description: '', fallback: first }
      const edited = (next) => {
        value = next
        change(next)
      }
      field = nest(own, edited, { says: titleOf(spec) })
      body.replaceChildren(field.element)
    }
    field.show(first)
  }
  box.addEventListener('change', () => {
    body.hidden = !box.checked
    if (!box.checked) return change(empty.value)
    open(value ?? spec.fallback ?? initial(root, { ...whole, default: undefined }))
    if (fits(root, whole, value)) change(value)
    else field.say('Enter a value; nothing is sent until then.')
  })
  const set = (given) => {
    const some = given !== undefined && given !== null
    box.checked = some
    body.hidden = !some
    if (some) open(given)
  }
  return { element, set, mark: mark(box), labelled: labelFor(id), typing: true }
}
