import { api } from '../api.js'
import { freshId, h, prose } from '../dom.js'
import { sayError } from '../words.js'

const RETRY_MS = 2000

/** A choice among the server's pipelines with the description of the chosen one. Tells `onChange(name)`. */
export class PipelineChoice {
  element
  #select
  #description = h('p', { class: 'help' })
  #list = []
  #said = ''
  #fallback

  constructor({ preferred, onChange } = {}) {
    const id = freshId('pipeline')
    this.#fallback = preferred
    this.#select = h('select', { id, disabled: true })
    this.#select.addEventListener('change', () => {
      this.#describe()
      onChange?.(this.value)
    })
    this.element = h(
      'div',
      { class: 'field pipeline-choice' },
      h('label', { class: 'field-label', for: id }, 'Pipeline'),
      this.#select,
      this.#description,
    )
  }

  get value() {
    return this.#select.value || undefined
  }

  /** Shows a pipeline as chosen without telling of it. */
  set value(name) {
    this.#fallback = name
    if (name && this.#list.length > 0 && !this.#list.some((one) => one.name === name)) {
      this.#select.append(h('option', { value: name }, name))
    }
    this.#select.value = name ?? ''
    this.#describe()
  }

  set disabled(off) {
    this.#select.disabled = off || this.#list.length === 0
  }

  /** Text in place of the description; undefined brings it back. */
  explain(text) {
    if (text) this.#say(text)
    else this.#describe()
  }

  /** Asks the server for its pipelines, again and again until it answers or the signal ends it. */
  async load(signal) {
    while (!signal.aborted) {
      try {
        this.#list = await api.pipelines({ signal })
        break
      } catch (error) {
        if (signal.aborted) return
        this.#say(sayError(error))
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
    if (signal.aborted) return
    this.#select.replaceChildren(...this.#list.map(({ name }) => h('option', { value: name }, name)))
    this.#select.disabled = this.#list.length === 0
    const chosen =
      this.#fallback ?? (this.#list.some(({ name }) => name === 'effects') ? 'effects' : this.#list[0]?.name)
    if (chosen) this.value = chosen
  }

  #describe() {
    const found = this.#list.find(({ name }) => name === this.#select.value)
    this.#say(found?.description ?? '')
  }

  #say(text) {
    if (this.#said === text) return
    this.#said = text
    this.#description.replaceChildren(...prose(text))
  }
}
