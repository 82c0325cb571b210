import { freshId, h, prose } from '../dom.js'
import { icon } from '../icons.js'
import { label } from '../words.js'
import { control } from './controls.js'

/** One param: its label, control, help, error and reset. `onChange(value)` is told of every valid edit. */
export class ParamField {
  element
  spec
  #control
  #error
  #reset
  #editedAt = 0

  constructor(spec, onChange) {
    this.spec = spec
    const id = freshId('param')
    const help = spec.description && h('p', { class: 'help', id: `${id}-help` }, prose(spec.description))
    this.#error = h('p', { class: 'error', id: `${id}-error`, hidden: true })
    this.#reset = h(
      'button',
      {
        type: 'button',
        class: 'icon-button reset',
        'aria-label': `Reset ${label(spec.name)} to its default`,
        title: 'Reset to default',
        onclick: () => {
          this.show(spec.fallback)
          this.say(undefined)
          onChange(spec.fallback ?? null)
        },
      },
      icon('reset'),
    )
    this.#control = control(spec, id, {
      describedBy: `${help ? `${id}-help ` : ''}${id}-error`,
      change: (value) => {
        this.#editedAt = Date.now()
        this.say(undefined)
        this.#markReset(value)
        onChange(value)
      },
      invalid: (message) => this.say(message),
    })
    const head = h('div', { class: 'field-head' }, this.#control.labelled(label(spec.name)), this.#reset)
    const inline = this.#control.inline
    this.element = h(
      'div',
      { class: `field kind-${spec.kind}${inline ? ' inline' : ''}`, dataset: { param: spec.name } },
      head,
      this.#control.element,
      help,
      this.#error,
    )
  }

  /** Shows a value without telling of it. */
  show(value) {
    this.#control.set(value)
    this.#markReset(value)
  }

  /** True while the user is at it, so that an older value from the server must not overwrite it. */
  get busy() {
    return (
      Date.now() - this.#editedAt < 1500 ||
      (this.spec.kind !== 'switch' && this.element.contains(document.activeElement) && this.#control.typing)
    )
  }

  /** What is wrong with the value; undefined when nothing is. */
  say(message) {
    this.#error.hidden = message === undefined
    this.#error.textContent = message ?? ''
    this.element.classList.toggle('wrong', message !== undefined)
    this.#control.mark(message !== undefined)
  }

  #markReset(value) {
    const same = JSON.stringify(value ?? null) === JSON.stringify(this.spec.fallback ?? null)
    this.#reset.classList.toggle('off', same)
    this.#reset.disabled = same
  }
}
