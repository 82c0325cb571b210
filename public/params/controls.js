import { h } from '../dom.js'
import { label } from '../words.js'

/**
 * Each kind of control gives `{ element, set(value), mark(wrong), labelled(text), inline?, typing? }`; it calls
 * `change(value)` for a valid edit and `invalid(message)` for another. Null means “no value of its own”.
 */
export function control(spec, id, hooks) {
  return KINDS[spec.kind](spec, id, hooks)
}

const labelFor = (id) => (text) => h('label', { class: 'field-label', for: id }, text)
const mark =
  (...inputs) =>
  (wrong) => {
    for (const input of inputs) input.setAttribute('aria-invalid', String(wrong))
  }

function numberError(spec, value) {
  if (!Number.isFinite(value)) return 'Enter a number.'
  if (spec.integer && !Number.isInteger(value)) return 'Enter a whole number.'
  const low = spec.min !== undefined && value < spec.min
  const high = spec.max !== undefined && value > spec.max
  if (low || high) {
    if (spec.min === undefined) return `At most ${spec.max}.`
    return spec.max === undefined ? `At least ${spec.min}.` : `Between ${spec.min} and ${spec.max}.`
  }
  return undefined
}

function numberBox(spec, id, { describedBy, change, invalid }) {
  const box = h('input', {
    type: 'number',
    id,
    min: spec.min,
    max: spec.max,
    step: spec.step,
    inputmode: spec.integer ? 'numeric' : 'decimal',
    placeholder: spec.optional ? 'automatic' : undefined,
    'aria-describedby': describedBy,
  })
  box.addEventListener('input', () => {
    if (box.value === '' && spec.optional && !box.validity.badInput) return change(null)
    const value = box.value === '' ? Number.NaN : Number(box.value)
    const wrong = numberError(spec, value)
    if (wrong) invalid(wrong)
    else change(value)
  })
  return box
}

const KINDS = {
  number(spec, id, hooks) {
    const box = numberBox(spec, id, hooks)
    const set = (value) => {
      box.value = value ?? ''
    }
    return { element: box, set, mark: mark(box), labelled: labelFor(id), typing: true }
  },

  slider(spec, id, hooks) {
    const paint = () => {
      const share = (Number(slider.value) - spec.min) / (spec.max - spec.min || 1)
      slider.style.setProperty('--share', `${share * 100}%`)
    }
    const change = (value) => {
      slider.value = value
      paint()
      hooks.change(value)
    }
    const box = numberBox(spec, `${id}-box`, { ...hooks, change })
    const slider = h('input', {
      type: 'range',
      id,
      min: spec.min,
      max: spec.max,
      step: spec.step,
      'aria-describedby': hooks.describedBy,
    })
    box.setAttribute('aria-label', `${label(spec.name)}, exact value`)
    slider.addEventListener('input', () => {
      box.value = slider.value
      paint()
      hooks.change(Number(slider.value))
    })
    const set = (value) => {
      slider.value = value ?? spec.min
      box.value = value ?? ''
      paint()
    }
    const element = h('div', { class: 'slider' }, slider, box)
    return { element, set, mark: mark(slider, box), labelled: labelFor(id), typing: true }
  },

  switch(_spec, id, { describedBy, change }) {
    const box = h('input', { type: 'checkbox', role: 'switch', id, 'aria-describedby': describedBy })
    box.addEventListener('change', () => change(box.checked))
    const set = (value) => {
      box.checked = Boolean(value)
    }
    return { element: box, set, mark: mark(box), labelled: labelFor(id), inline: true }
  },

  chips(spec, id, { describedBy, change }) {
    const inputs = spec.choices.map((choice, index) => {
      const input = h('input', { type: 'radio', name: id, id: `${id}-${index}`, value: String(choice) })
      input.addEventListener('change', () => change(choice))
      return input
    })
    const element = h(
      'div',
      { class: 'chips', role: 'radiogroup', 'aria-labelledby': `${id}-label`, 'aria-describedby': describedBy },
      inputs.map((input, index) =>
        h('label', { class: 'chip' }, input, h('span', {}, label(String(spec.choices[index])))),
      ),
    )
    const set = (value) => {
      for (const [index, input] of inputs.entries()) input.checked = spec.choices[index] === value
    }
    const labelled = (text) => h('span', { class: 'field-label', id: `${id}-label` }, text)
    return { element, set, mark: mark(element), labelled }
  },

  select(spec, id, { describedBy, change }) {
    const options = spec.choices.map((choice, index) => h('option', { value: index }, label(String(choice))))
    const element = h('select', { id, 'aria-describedby': describedBy }, options)
    element.addEventListener('change', () => change(spec.choices[Number(element.value)]))
    const set = (value) => {
      element.value = spec.choices.indexOf(value)
    }
    return { element, set, mark: mark(element), labelled: labelFor(id) }
  },

  color(_spec, id, { describedBy, change }) {
    const element = h('input', { type: 'color', id, 'aria-describedby': describedBy })
    element.addEventListener('input', () => change(element.value))
    const set = (value) => {
      element.value = value ?? '#000000'
    }
    return { element, set, mark: mark(element), labelled: labelFor(id), inline: true }
  },

  text(spec, id, { describedBy, change, invalid }) {
    const { minLength, maxLength, pattern } = spec.schema
    const long = (maxLength ?? 0) > 80
    const element = h(long ? 'textarea' : 'input', {
      id,
      maxlength: maxLength,
      rows: long && 3,
      spellcheck: 'false',
      'aria-describedby': describedBy,
    })
    element.addEventListener('input', () => {
      const { value } = element
      if (value === '' && spec.optional) change(null)
      else if (value.length < (minLength ?? 0)) invalid(`At least ${minLength} characters.`)
      else if (pattern && !matches(pattern, value)) invalid(`It must look like ${pattern}.`)
      else change(value)
    })
    const set = (value) => {
      element.value = value ?? ''
    }
    return { element, set, mark: mark(element), labelled: labelFor(id), typing: true }
  },

  json(spec, id, { describedBy, change, invalid }) {
    const element = h('textarea', { id, rows: 4, class: 'code', spellcheck: 'false', 'aria-describedby': describedBy })
    element.addEventListener('input', () => {
      if (element.value.trim() === '' && spec.optional) return change(null)
      try {
        const value = JSON.parse(element.value)
        const wrong = shapeError(spec.schema, value)
        if (wrong) invalid(wrong)
        else change(value)
      } catch (error) {
        invalid(`Not JSON yet: ${error.message}`)
      }
    })
    const set = (value) => {
      element.value = value === undefined || value === null ? '' : written(value)
      element.rows = Math.min(10, element.value.split('\n').length + 1)
    }
    return { element, set, mark: mark(element), labelled: labelFor(id), typing: true }
  },
}

/** Short values on one line. */
function written(value) {
  const line = JSON.stringify(value)
  return line.length <= 40 ? line.replaceAll(',', ', ') : JSON.stringify(value, null, 2)
}

/** The server knows the whole schema; this only catches what is plainly another shape. */
function shapeError(schema, value) {
  if (schema.type === 'array' && !Array.isArray(value)) return 'Enter a list, such as [1, 2].'
  if (schema.type === 'object' && (value === null || typeof value !== 'object' || Array.isArray(value))) {
    return 'Enter an object, such as {"name": "value"}.'
  }
  return undefined
}

/** A pattern that this browser cannot read is left to the server. */
function matches(pattern, value) {
  try {
    return new RegExp(pattern, 'u').test(value)
  } catch {
    return true
  }
}
