import { h } from '../../dom.js'
import { matches } from '../values.js'
import { labelFor, mark } from './parts.js'

export function color({ schema }, id, { describedBy, change }) {
  const element = h('input', { type: 'color', id, 'aria-describedby': describedBy })
  const upper = schema.pattern !== undefined && !matches(schema.pattern, '#abcdef')
  element.addEventListener('input', () => change(upper ? element.value.toUpperCase() : element.value))
  const set = (value) => {
    element.value = /^#[0-9a-f]{6}/i.exec(value ?? '')?.[0] ?? '#000000'
  }
  return { element, set, mark: mark(element), labelled: labelFor(id), inline: true }
}
