import { h } from '../../dom.js'
import { label } from '../../words.js'

/** Makes a label for the one input with this id. */
export const labelFor = (id) => (text) => h('label', { class: 'field-label', for: id }, text)

/** Makes a label for a control of several parts, which has `aria-labelledby` of `groupLabel(id)`. */
export const labelOver = (id) => (text) => h('span', { class: 'field-label', id: groupLabel(id) }, text)
export const groupLabel = (id) => `${id}-label`

export const mark =
  (...inputs) =>
  (wrong) => {
    for (const input of inputs) input.setAttribute('aria-invalid', String(wrong))
  }

/** The author's title if it says more than the name does. */
export function titleOf({ title, name }) {
  const plain = label(name)
  return title && title.toLowerCase() !== plain.toLowerCase() ? title : plain
}

/** The word for an empty value: the param is null, or left to the pipeline. */
export const emptyWord = (empty) => (empty.value === null ? 'none' : 'automatic')
