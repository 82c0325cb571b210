import { h } from '../../dom.js'
import { label } from '../../words.js'
import { same } from '../values.js'
import { emptyWord, groupLabel, labelFor, labelOver, mark } from './parts.js'

/** The choices; if the value may be empty, “no value” is the last. */
function options(spec) {
  const empty = spec.empty && { value: spec.empty.value, title: label(emptyWord(spec.empty)) }
  return [...spec.choices, ...(empty ? [empty] : [])].map(({ value, title }) => ({ value, text: title ?? said(value) }))
}

function said(value) {
  if (typeof value !== 'string') return JSON.stringify(value)
  return value.trim() === '' ? JSON.stringify(value) : label(value)
}

const indexOf = (choices, value) => choices.findIndex((choice) => same(choice.value ?? null, value ?? null))

export function switchBox(_spec, id, { describedBy, change }) {
  const box = h('input', { type: 'checkbox', role: 'switch', id, 'aria-describedby': describedBy })
  box.addEventListener('change', () => change(box.checked))
  const set = (value) => {
    box.checked = Boolean(value)
  }
  return { element: box, set, mark: mark(box), labelled: labelFor(id), inline: true }
}

const chip = (input, text) => h('label', { class: 'chip' }, input, h('span', {}, text))

export function chips(spec, id, { describedBy, change }) {
  const choices = options(spec)
  const inputs = choices.map(({ value }, index) => {
    const input = h('input', { type: 'radio', name: id, id: `${id}-${index}`, value: String(value) })
    input.addEventListener('change', () => change(value))
    return input
  })
  const element = h(
    'div',
    { class: 'chips', role: 'radiogroup', 'aria-labelledby': groupLabel(id), 'aria-describedby': describedBy },
    inputs.map((input, index) => chip(input, choices[index].text)),
  )
  const set = (value) => {
    const chosen = indexOf(choices, value)
    for (const [index, input] of inputs.entries()) input.checked = index === chosen
  }
  // Screen readers announce no invalid state for a group of radio buttons, but each button can have one.
  return { element, set, mark: () => {}, labelled: labelOver(id) }
}

export function select(spec, id, { describedBy, change }) {
  const choices = options(spec)
  const element = h(
    'select',
    { id, 'aria-describedby': describedBy },
    choices.map(({ text }, index) => h('option', { value: index }, text)),
  )
  element.addEventListener('change', () => change(choices[Number(element.value)].value))
  const set = (value) => {
    element.value = indexOf(choices, value)
  }
  return { element, set, mark: mark(element), labelled: labelFor(id) }
}

/** Any number of the choices, each at most once. */
export function checks(spec, id, { describedBy, change, invalid }) {
  const { schema, items } = { schema: spec.schema, items: spec.choices.map(({ value }) => value) }
  const inputs = items.map((_, index) => h('input', { type: 'checkbox', id: `${id}-${index}` }))
  const told = () => {
    const chosen = items.filter((_, index) => inputs[index].checked)
    const { minItems = 0, maxItems = items.length } = schema
    if (chosen.length < minItems) invalid(`Choose at least ${minItems}.`)
    else if (chosen.length > maxItems) invalid(`Choose at most ${maxItems}.`)
    else change(chosen)
  }
  for (const input of inputs) input.addEventListener('change', told)
  const element = h(
    'div',
    { class: 'chips', role: 'group', 'aria-labelledby': groupLabel(id), 'aria-describedby': describedBy },
    inputs.map((input, index) => chip(input, said(items[index]))),
  )
  const set = (value) => {
    const chosen = Array.isArray(value) ? value : []
    for (const [index, input] of inputs.entries()) input.checked = chosen.some((one) => same(one, items[index]))
  }
  return { element, set, mark: mark(...inputs), labelled: labelOver(id) }
}
