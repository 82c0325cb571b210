import { ApiError, api } from '../api.js'
import { h, setText } from '../dom.js'
import { icon } from '../icons.js'
import { sayError, sentence } from '../words.js'
import { ParamField } from './field.js'
import { fieldsOf } from './schema.js'
import { ParamsSender } from './sender.js'

/** The form for a stream's params, made from its pipeline's JSON Schema; edits go out as they are made. */
export class ParamsPanel {
  element
  #name
  #fields = new Map()
  #sender
  #revision = -1
  #status = h('span', { class: 'params-status', role: 'status' })
  #general = h('p', { class: 'error', role: 'alert', hidden: true })
  #resetAll = h(
    'button',
    { type: 'button', class: 'quiet small', onclick: () => this.#reset() },
    icon('reset'),
    'Reset all',
  )
  #form = h('form', { class: 'params', onsubmit: (event) => event.preventDefault() })

  constructor(name) {
    this.#name = name
    this.#sender = new ParamsSender((changes) => api.mergeParams(name, changes), {
      onAnswer: (changes, answer) => this.#applied(changes, answer),
      onError: (changes, error) => this.#refused(changes, error),
    })
    this.element = h(
      'div',
      { class: 'params-panel' },
      h('div', { class: 'params-head' }, h('h2', {}, 'Params'), this.#status, this.#resetAll),
      this.#general,
      this.#form,
    )
    this.#resetAll.hidden = true
    this.element.hidden = true
  }

  /** Builds the controls for a pipeline's details (`params` is JSON Schema); undefined while there are none. */
  build(details) {
    this.#fields.clear()
    this.#revision = -1
    this.#say('')
    this.#complain(undefined)
    const specs = details ? fieldsOf(details.params, details.defaults) : []
    for (const spec of specs) {
      const field = new ParamField(spec, (value) => this.#change(spec.name, value))
      field.show(spec.fallback)
      this.#fields.set(spec.name, field)
    }
    const own = specs.filter((spec) => !spec.common).map((spec) => this.#fields.get(spec.name).element)
    const common = specs.filter((spec) => spec.common).map((spec) => this.#fields.get(spec.name).element)
    const none = details && own.length === 0 && h('p', { class: 'muted' }, 'This pipeline has no params of its own.')
    const more =
      common.length > 0 && h('details', { class: 'more' }, h('summary', {}, 'Resolution and loading'), common)
    this.#form.replaceChildren(...[none, ...own, more].filter(Boolean))
    this.#resetAll.hidden = own.length === 0
    this.element.hidden = details === undefined
  }

  /** Shows what the server has, except where the user is just at it. `params` is the status's. */
  update(params) {
    if (!params || this.#sender.pending || params.revision === this.#revision) return
    this.#revision = params.revision
    for (const [name, field] of this.#fields)
      if (!field.busy) field.show(params.value[name] ?? (field.spec.optional ? undefined : field.spec.fallback))
  }

  #change(name, value) {
    this.#say('Applying…')
    this.#sender.change(name, value)
  }

  #applied(changes, answer) {
    this.#complain(undefined)
    for (const name of Object.keys(changes)) this.#fields.get(name)?.say(undefined)
    this.#revision = answer.revision
    this.#say(`Applied, revision ${answer.revision}`)
  }

  #refused(changes, error) {
    this.#say('')
    const rest = (error instanceof ApiError ? error.errors : []).filter(({ path, message }) => {
      const field = this.#fields.get(path.split('/')[1] ?? '')
      field?.say(sentence(message))
      return !field
    })
    const named = error instanceof ApiError && error.errors.length > rest.length
    if (named && rest.length === 0) return
    const only = Object.keys(changes).length === 1 ? this.#fields.get(Object.keys(changes)[0]) : undefined
    if (only && error instanceof ApiError) only.say(sayError(error))
    else this.#complain(sayError(error))
  }

  async #reset() {
    this.#say('Applying…')
    try {
      const answer = await api.replaceParams(this.#name, {})
      for (const field of this.#fields.values()) {
        field.say(undefined)
        field.show(answer.params[field.spec.name] ?? field.spec.fallback)
      }
      this.#applied({}, answer)
    } catch (error) {
      this.#refused({}, error)
    }
  }

  #say(text) {
    setText(this.#status, text)
  }

  #complain(text) {
    this.#general.hidden = text === undefined
    this.#general.textContent = text ?? ''
  }
}
