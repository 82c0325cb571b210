import { h } from '../../dom.js'
import { icon } from '../../icons.js'
import { MASK, problemOfText } from '../values.js'
import { emptyWord, labelFor, mark, titleOf } from './parts.js'

const LONG_ROWS = 3

/** One line, or several for the kind `long`. */
export function text(spec, id, { describedBy, change, invalid }) {
  const { schema, empty } = spec
  const long = spec.kind === 'long'
  const element = h(long ? 'textarea' : 'input', {
    id,
    maxlength: schema.maxLength,
    rows: long && LONG_ROWS,
    spellcheck: long ? 'true' : 'false',
    autocomplete: 'off',
    placeholder: empty && emptyWord(empty),
    'aria-describedby': describedBy,
  })
  element.addEventListener('input', () => {
    const { value } = element
    if (value === '' && empty) return change(empty.value)
    const wrong = problemOfText(schema, value)
    if (wrong) invalid(wrong)
    else change(value)
  })
  const set = (value) => {
    element.value = value ?? ''
  }
  return { element, set, mark: mark(element), labelled: labelFor(id), typing: true }
}

/**
 * Hidden while typed, until the button shows it. The server does not return a stored secret; left empty, it is kept.
 */
export function secret(spec, id, hooks) {
  let kept = false
  const stays = () => kept && box.value === ''
  const control = text(spec, id, {
    ...hooks,
    change: (value) => hooks.change(stays() ? MASK : value),
    invalid: (message) => (stays() ? hooks.change(MASK) : hooks.invalid(message)),
  })
  const box = control.element
  const { placeholder } = box
  const set = (value) => {
    kept = value === MASK
    box.placeholder = kept ? 'set; type to replace it' : placeholder
    control.set(kept ? '' : value)
  }
  box.type = 'password'
  // Otherwise browsers offer to save it as an account password.
  box.autocomplete = 'new-password'
  const show = h('button', { type: 'button', class: 'quiet small', 'aria-pressed': 'false' }, icon('eye'), 'Show')
  show.setAttribute('aria-label', `Show ${titleOf(spec).toLowerCase()}`)
  show.addEventListener('click', () => {
    const shown = box.type === 'password'
    box.type = shown ? 'text' : 'password'
    show.setAttribute('aria-pressed', String(shown))
  })
  return { ...control, set, element: h('div', { class: 'with-button' }, box, show) }
}

const ZONE = /(Z|[+-]\d\d:?\d\d)$/i

/**
 * A date, or a date and time. The latter is shown in the browser's time zone and sent in UTC; where the value in force
 * names no zone, it is shown and sent as it is.
 */
export function moment(spec, id, { describedBy, change, invalid }) {
  const day = spec.kind === 'date'
  const element = h('input', {
    type: day ? 'date' : 'datetime-local',
    step: day ? undefined : 1,
    id,
    'aria-describedby': describedBy,
  })
  element.addEventListener('input', () => {
    if (element.value === '' && spec.empty && !element.validity.badInput) return change(spec.empty.value)
    if (element.value === '') return invalid(day ? 'Enter a date.' : 'Enter a date and a time.')
    const forms = day ? [element.value] : timeForms(element.value, zoned)
    const value = forms.find((form) => problemOfText(spec.schema, form) === undefined)
    if (value === undefined) invalid(problemOfText(spec.schema, forms[0]))
    else change(value)
  })
  let zoned = true
  const set = (value) => {
    if (typeof value === 'string') zoned = ZONE.test(value)
    if (day || zoned) element.value = day ? (value ?? '') : localTime(value)
    else element.value = (value ?? '').slice(0, 19)
  }
  return { element, set, mark: mark(element), labelled: labelFor(id), typing: true }
}

/** How a schema may want a time to be written, the likeliest first. */
function timeForms(local, zoned) {
  const utc = new Date(local).toISOString()
  const plain = local.length === 16 ? `${local}:00` : local
  const withZone = [utc, `${utc.slice(0, 19)}Z`]
  return zoned ? [...withZone, plain, local] : [plain, local, ...withZone]
}

function localTime(value) {
  const time = Date.parse(value ?? '')
  if (Number.isNaN(time)) return ''
  const offset = new Date(time).getTimezoneOffset() * 60_000
  return new Date(time - offset).toISOString().slice(0, 19)
}
