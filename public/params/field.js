import { freshId, h, prose } from '../dom.js'
import { icon } from '../icons.js'
import { control } from './control.js'
import { titleOf } from './controls/parts.js'
import { same } from './values.js'

/** How long after an edit an older server value must not overwrite it, in ms. */
const BUSY_MS = 1500

/**
 * One param or nested value: label, control, help, error and reset. `onChange(value)` is called with every valid edit;
 * undefined means no value.
 */
export class ParamField {
  element
  spec
  #control
  #error
  #reset
  #editedAt = 0

  /** `says` replaces the label; `inner` fields have no reset button. */
  constructor(spec, onChange, { says, inner = false } = {}) {
    this.spec = spec
    const id = freshId('param')
    const title = says ?? titleOf(spec)
    const help = spec.description && h('p', { class: 'help', id: `${id}-help` }, prose(spec.description))
    this.#error = h('p', { class: 'error', id: `${id}-error`, hidden: true })
    if (!inner) this.#reset = this.#resetButton(title, onChange)
    this.#control = control(says ? { ...spec, title: says } : spec, id, {
      describedBy: `${help ? `${id}-help ` : ''}${id}-error`,
      change: (value) => {
        this.#editedAt = Date.now()
        this.say(undefined)
        this.#markReset(value)
        onChange(value)
      },
      invalid: (message) => this.say(message),
      nest: (nested, told, options) => new ParamField(nested, told, { ...options, inner: true }),
    })
    const head = h('div', { class: 'field-head' }, this.#control.labelled(title), this.#reset)
    if (inner && says) head.classList.add('said')
    this.element = h(
      'div',
      { class: `field kind-${spec.kind}${this.#control.inline ? ' inline' : ''}`, dataset: { param: spec.name } },
      head,
      this.#control.element,
      help,
      this.#error,
    )
  }

  #resetButton(title, onChange) {
    const back = () => {
      this.show(this.spec.fallback)
      this.say(undefined)
      onChange(this.spec.fallback)
    }
    return h(
      'button',
      {
        type: 'button',
        class: 'icon-button reset',
        'aria-label': `Reset ${title} to its default`,
        title: 'Reset to default',
        onclick: back,
      },
      icon('reset'),
    )
  }

  /** Shows a value without calling `onChange`. */
  show(value) {
    this.#control.set(value)
    this.#markReset(value)
  }

  /** True while the user is editing: an older server value must not overwrite the edit. */
  get busy() {
    const typing = this.#control.typing && this.element.contains(document.activeElement)
    return Date.now() - this.#editedAt < BUSY_MS || Boolean(typing)
  }

  /** True while it, or a field inside, says what is wrong. */
  get wrong() {
    return this.element.querySelector('.error:not([hidden])') !== null
  }

  /** Shows what is wrong with the value; undefined clears it. */
  say(message) {
    this.#error.hidden = message === undefined
    this.#error.textContent = message ?? ''
    this.element.classList.toggle('wrong', message !== undefined)
    this.#control.mark(message !== undefined)
  }

  #markReset(value) {
    if (!this.#reset) return
    const unchanged = same(value ?? null, this.spec.fallback ?? null)
    this.#reset.classList.toggle('off', unchanged)
    this.#reset.disabled = unchanged
  }
}
