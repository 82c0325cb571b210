import { freshId, h, prose } from '../dom.js'
import { icon } from '../icons.js'
import { millrace } from '../session.js'
import { sayError } from '../words.js'

const RETRY_MS = 2000
const MAX_STAGES = 8

/**
 * A choice among the server's pipelines, with the chosen one's description. Several form a chain that each frame goes
 * through in order. Calls `onChange(name)`, with commas between the names of a chain.
 */
export class PipelineChoice {
  element
  #first
  #more = h('div', { class: 'next-pipelines' })
  #add
  #description = h('p', { class: 'help' })
  #list = []
  #said = ''
  #fallback
  #onChange

  constructor({ preferred, onChange } = {}) {
    const id = freshId('pipeline')
    this.#fallback = preferred
    this.#onChange = onChange
    this.#first = h('select', { id, disabled: true })
    this.#first.addEventListener('change', () => this.#changed())
    this.#add = h(
      'button',
      { type: 'button', class: 'quiet small', disabled: true, onclick: () => this.#addNext() },
      icon('plus'),
      'Add a pipeline to the chain',
    )
    this.element = h(
      'div',
      { class: 'field pipeline-choice' },
      h('label', { class: 'field-label', for: id }, 'Pipeline'),
      this.#first,
      this.#more,
      this.#description,
      this.#add,
    )
  }

  get value() {
    const names = this.#selects.map(({ value }) => value).filter((name) => name !== '')
    return names.length > 0 ? names.join() : undefined
  }

  /** Shows a pipeline or a chain as chosen, without calling `onChange`. */
  set value(name) {
    this.#fallback = name
    const [first = '', ...others] = name?.split(',') ?? []
    this.#choose(this.#first, first)
    this.#more.replaceChildren()
    for (const other of others) this.#choose(this.#nextSelect(), other)
    this.#describe()
  }

  set disabled(off) {
    const disabled = off || this.#list.length === 0
    for (const control of this.element.querySelectorAll('select, button')) control.disabled = disabled
  }

  focus() {
    this.#first.focus()
  }

  /** Shows a text in place of the description; undefined restores it. */
  explain(text) {
    if (text) this.#say(text)
    else this.#describe()
  }

  /** Fetches the list of pipelines, retrying until the server answers or the signal aborts. */
  async load(signal) {
    while (!signal.aborted) {
      try {
        this.#list = await millrace.pipelines({ signal })
        break
      } catch (error) {
        if (signal.aborted) return
        this.#say(sayError(error))
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
    if (signal.aborted) return
    this.#first.replaceChildren(...this.#options())
    this.disabled = false
    const chosen =
      this.#fallback ?? (this.#list.some(({ name }) => name === 'effects') ? 'effects' : this.#list[0]?.name)
    if (chosen) this.value = chosen
  }

  get #selects() {
    return [this.#first, ...this.#more.querySelectorAll('select')]
  }

  #options() {
    return this.#list.map(({ name }) => h('option', { value: name }, name))
  }

  #choose(select, name) {
    if (name && this.#list.length > 0 && !this.#list.some((one) => one.name === name)) {
      select.append(h('option', { value: name }, name))
    }
    select.value = name
  }

  /** Nothing changes until the user chooses one. */
  #addNext() {
    const select = this.#nextSelect()
    select.prepend(h('option', { value: '' }, 'Choose …'))
    select.value = ''
    select.focus()
    this.#describe()
  }

  #nextSelect() {
    const select = h('select', { 'aria-label': 'Next pipeline' }, ...this.#options())
    const row = h('div', { class: 'next-pipeline' }, select)
    select.addEventListener('change', () => this.#changed())
    const remove = () => {
      row.remove()
      this.#add.focus()
      if (select.value === '') this.#describe()
      else this.#changed()
    }
    const label = 'Remove this pipeline'
    row.append(
      h(
        'button',
        { type: 'button', class: 'icon-button', title: label, 'aria-label': label, onclick: remove },
        icon('remove'),
      ),
    )
    this.#more.append(row)
    return select
  }

  #changed() {
    this.#describe()
    this.#onChange?.(this.value)
  }

  #describe() {
    this.#add.hidden = this.#selects.length >= MAX_STAGES || this.#selects.some(({ value }) => value === '')
    const chosen = this.#selects.map(({ value }) => this.#list.find(({ name }) => name === value))
    this.#say(chosen.length === 1 ? (chosen[0]?.description ?? '') : 'Each frame goes through them in order.')
  }

  #say(text) {
    if (this.#said === text) return
    this.#said = text
    this.#description.replaceChildren(...prose(text))
  }
}
