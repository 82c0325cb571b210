import { h } from '../../dom.js'
import { icon } from '../../icons.js'
import { positionNear, problemOfNumber, rangeOf } from '../numbers.js'
import { emptyWord, labelFor, mark, titleOf } from './parts.js'

function numberBox(spec, id, { describedBy, change, invalid }) {
  const box = h('input', {
    type: 'number',
    id,
    min: spec.min,
    max: spec.max,
    step: spec.step,
    inputmode: spec.integer ? 'numeric' : 'decimal',
    placeholder: spec.empty && emptyWord(spec.empty),
    'aria-describedby': describedBy,
  })
  box.addEventListener('input', () => {
    if (box.value === '' && spec.empty && !box.validity.badInput) return change(spec.empty.value)
    const value = box.value === '' ? Number.NaN : Number(box.value)
    const wrong = problemOfNumber(spec.schema, value)
    if (wrong) invalid(wrong)
    else change(value)
  })
  return box
}

export function number(spec, id, hooks) {
  const box = numberBox(spec, id, hooks)
  const set = (value) => {
    box.value = value ?? ''
  }
  const control = { element: box, set, mark: mark(box), labelled: labelFor(id), typing: true }
  if (!spec.seed) return control
  const roll = h('button', { type: 'button', class: 'quiet small' }, icon('dice'), 'Random')
  roll.setAttribute('aria-label', `Random ${titleOf(spec).toLowerCase()}`)
  roll.addEventListener('click', () => {
    box.value = randomIn(rangeOf(spec.schema))
    hooks.change(Number(box.value))
  })
  return { ...control, element: h('div', { class: 'with-button' }, box, roll) }
}

/** A random value on the grid, from 0 if the range has no lower bound. */
function randomIn({ min = 0, max = Number.MAX_SAFE_INTEGER, grid }) {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2))
  const share = ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53
  const first = Math.ceil(min / grid)
  return (first + Math.floor(share * (Math.floor(max / grid) - first + 1))) * grid
}

export function slider(spec, id, hooks) {
  const paint = () => {
    const share = (Number(range.value) - spec.min) / (spec.max - spec.min || 1)
    range.style.setProperty('--share', `${share * 100}%`)
  }
  const change = (value) => {
    range.value = value
    paint()
    hooks.change(value)
  }
  const box = numberBox(spec, `${id}-box`, { ...hooks, change })
  const range = h('input', {
    type: 'range',
    id,
    min: spec.min,
    max: spec.max,
    step: spec.step,
    'aria-describedby': hooks.describedBy,
  })
  box.setAttribute('aria-label', `${titleOf(spec)}, exact value`)
  range.addEventListener('input', () => {
    const value = positionNear(spec.schema, Number(range.value))
    box.value = value
    paint()
    hooks.change(value)
  })
  const set = (value) => {
    range.value = value ?? spec.min
    box.value = value ?? ''
    paint()
  }
  const element = h('div', { class: 'slider' }, range, box)
  return { element, set, mark: mark(range, box), labelled: labelFor(id), typing: true }
}
