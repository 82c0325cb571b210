import { h } from '../../dom.js'
import { fits } from '../values.js'
import { emptyWord, labelFor, mark } from './parts.js'

const MAX_ROWS = 10
const SHORT = 40

/** A value without a control of its own, edited as JSON. */
export function json(spec, id, { describedBy, change, invalid }) {
  const { root, schema, empty } = spec
  const element = h('textarea', {
    id,
    rows: 4,
    class: 'code',
    spellcheck: 'false',
    placeholder: empty && emptyWord(empty),
    'aria-describedby': describedBy,
  })
  element.addEventListener('input', () => {
    if (element.value.trim() === '' && empty) return change(empty.value)
    let value
    try {
      value = JSON.parse(element.value)
    } catch (error) {
      return invalid(`Not valid JSON: ${error.message}`)
    }
    if (fits(root, schema, value)) change(value)
    else invalid(expected(schema))
  })
  const set = (value) => {
    element.value = value === undefined || (value === null && empty) ? '' : written(value)
    element.rows = Math.min(MAX_ROWS, element.value.split('\n').length + 1)
  }
  return { element, set, mark: mark(element), labelled: labelFor(id), typing: true }
}

function expected({ type }) {
  if (type === 'array') return 'Enter a list that matches the schema, such as [1, 2].'
  if (type === 'object') return 'Enter an object that matches the schema, such as {"name": "value"}.'
  return 'This JSON does not match the schema.'
}

/** Puts short values on one line. */
function written(value) {
  const line = JSON.stringify(value)
  return line.length <= SHORT ? line.replaceAll(',', ', ') : JSON.stringify(value, null, 2)
}
