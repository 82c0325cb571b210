import { ApiError } from '../client/index.js'
import { h, setText } from '../dom.js'
import { icon } from '../icons.js'
import { label, sayError, sentence } from '../words.js'
import { ParamField } from './field.js'
import { ParamsHistory } from './history.js'
import { PresetsBar } from './presets-bar.js'
import { fieldsOf } from './schema.js'
import { ParamsSender } from './sender.js'
import { mergePatch, same } from './values.js'

/** The form for a stream's params, built from its pipeline's JSON Schema. Edits are sent immediately. */
export class ParamsPanel {
  element
  #stream
  #fields = []
  #sender
  #revision = -1
  /** Fields that do not show the newest values yet. */
  #unshown = new Set()
  /** The params last received from the server. */
  #known = {}
  /** When they came in answer to an edit, on the clock of `performance.now()`. */
  #answeredAt = 0
  #status = h('span', { class: 'params-status', role: 'status' })
  #general = h('p', { class: 'error', role: 'alert', hidden: true })
  #ignored = h('p', { class: 'params-ignored', role: 'status', hidden: true })
  #offer = h('div', { class: 'params-offer', role: 'status' })
  #history = new ParamsHistory()
  #undo = h(
    'button',
    { type: 'button', class: 'quiet small', disabled: true, onclick: () => this.#takeBack() },
    icon('undo'),
    'Undo',
  )
  #resetAll = h(
    'button',
    { type: 'button', class: 'quiet small', onclick: () => this.#replace({}) },
    icon('reset'),
    'Reset all',
  )
  #presets = new PresetsBar({
    apply: (params) => this.#replace({ ...this.#part(this.#known, true), ...params }),
    current: async () => {
      await this.#sender.idle()
      return this.#part(this.#known, false)
    },
    matches: (params) => this.#inForce(params),
  })
  #form = h('form', { class: 'params', novalidate: true, onsubmit: (event) => event.preventDefault() })

  /** `stream` is the client's `Stream`. */
  constructor(stream) {
    this.#stream = stream
    this.#sender = new ParamsSender((changes) => this.#send(changes), {
      onAnswer: (changes, answer) => this.#applied(changes, answer),
      onError: (changes, error) => this.#refused(changes, error),
    })
    this.element = h(
      'div',
      { class: 'params-panel' },
      h('div', { class: 'params-head' }, h('h2', {}, 'Params'), this.#undo, this.#resetAll, this.#status),
      this.#general,
      this.#ignored,
      this.#offer,
      this.#presets.element,
      this.#form,
    )
    this.#resetAll.hidden = this.#undo.hidden = true
    this.element.hidden = true
  }

  /** Builds the controls for a pipeline's details (`params` is a JSON Schema); undefined while there are none. */
  build(details) {
    this.element.inert = false
    this.#revision = -1
    this.#unshown = new Set()
    this.#known = details?.defaults ?? {}
    this.#history.clear()
    this.#undo.disabled = true
    this.#say('')
    this.#complain(undefined)
    this.#tellIgnored([])
    const specs = details ? fieldsOf(details.params, details.defaults) : []
    this.#fields = specs.map((spec) => {
      const field = new ParamField(spec, (value) => this.#change(spec, value))
      field.show(spec.fallback)
      return field
    })
    const elements = (common) => this.#fields.filter(({ spec }) => spec.common === common).map(({ element }) => element)
    const [own, common] = [elements(false), elements(true)]
    const none = details && own.length === 0 && h('p', { class: 'muted' }, 'This pipeline has no params of its own.')
    const more =
      common.length > 0 && h('details', { class: 'more' }, h('summary', {}, 'Resolution and loading'), common)
    this.#form.replaceChildren(...[none, ...own, more].filter(Boolean))
    this.#resetAll.hidden = this.#undo.hidden = this.#presets.element.hidden = own.length === 0
    if (details) this.#presets.show(details.name, details.presets)
    this.element.hidden = details === undefined
  }

  /** Takes no edits until it is built again: another pipeline is on air, which would not know these params. */
  hold() {
    this.element.inert = true
  }

  /** The pipeline's own params that are not at their defaults. */
  get changed() {
    const own = this.#fields.filter(({ spec }) => !spec.common)
    const values = own.map(({ spec }) => [spec.name, this.#known[spec.name], spec.fallback])
    const other = values.filter(([, value, fallback]) => !same(value ?? null, fallback ?? null))
    return Object.fromEntries(other.map(([name, value]) => [name, value ?? null]))
  }

  /** Offers the params of a link until they are applied or declined; opening a link alone changes no stream. */
  offer(params) {
    const done = () => this.#offer.replaceChildren()
    const take = () => {
      done()
      void this.#replace({ ...this.#known, ...params })
    }
    if (this.#inForce({ ...this.#part(this.#known, false), ...params })) return
    const names = Object.keys(params).map((name) => label(name))
    this.#offer.replaceChildren(
      h('p', {}, `This link contains params: ${names.join(', ')}.`),
      h(
        'div',
        { class: 'row' },
        h('button', { type: 'button', class: 'primary', onclick: take }, 'Apply them'),
        h('button', { type: 'button', onclick: done }, 'Ignore'),
      ),
    )
  }

  /**
   * Shows the params of a status that was asked for at `askedAt`, unless an edit has been answered since: they may be
   * older. A field that the user is editing follows when the edit is over.
   */
  update(params, askedAt) {
    if (!params || this.#sender.pending || askedAt < this.#answeredAt) return
    if (params.revision !== this.#revision) {
      this.#revision = params.revision
      this.#known = params.value
      this.#unshown = new Set(this.#fields)
      this.#presets.update()
    }
    for (const field of this.#unshown) {
      if (field.busy) continue
      this.#unshown.delete(field)
      field.show(shownOf(field.spec, this.#known))
    }
  }

  #change(spec, value) {
    this.#say('Applying…')
    this.#sender.change(spec.names ? sidesOf(spec, value) : { [spec.name]: value })
  }

  /** Sends only the changes, so that those of others stay. A patch cannot set null, so then the whole set is sent. */
  async #send(changes) {
    const before = Object.fromEntries(Object.keys(changes).map((key) => [key, this.#known[key]]))
    const patch = mergePatch(before, changes)
    if (patch) return await this.#stream.mergeParams(patch)
    return await this.#stream.replaceParams({ ...this.#known, ...changes })
  }

  #applied(changes, answer) {
    this.#complain(undefined)
    for (const name of Object.keys(changes)) this.#fieldOf(name)?.say(undefined)
    this.#note(Object.keys(changes), answer.params)
    this.#revision = answer.revision
    this.#known = answer.params
    this.#answeredAt = performance.now()
    this.#presets.update()
    this.#say(`Applied, revision ${answer.revision}`)
    this.#tellIgnored(answer.ignored ?? [])
  }

  /** Remembers what a change of these params replaced. */
  #note(names, after) {
    const changed = names.filter((name) => !same(this.#known[name], after[name]))
    if (changed.length === 0) return
    this.#history.note(Object.fromEntries(changed.map((name) => [name, this.#known[name]])))
    this.#undo.disabled = false
  }

  #refused(changes, error) {
    this.#say('')
    const rest = (error instanceof ApiError ? error.errors : []).filter(({ path, message }) => {
      const [, name = '', ...inside] = path.split('/')
      const field = this.#fieldOf(name)
      field?.say([...inside.map(placeOf), sentence(message)].join(': '))
      return !field
    })
    const named = error instanceof ApiError && error.errors.length > rest.length
    if (named && rest.length === 0) return
    const touched = Object.keys(changes).map((name) => this.#fieldOf(name))
    const only = touched.every((field) => field === touched[0]) ? touched[0] : undefined
    if (only && error instanceof ApiError) only.say(sayError(error))
    else this.#complain(sayError(error))
  }

  #fieldOf(name) {
    return this.#fields.find(({ spec }) => spec.name === name || spec.names?.includes(name))
  }

  /** Sends the whole set: absent params return to their defaults. */
  async #replace(params) {
    await this.#sender.idle()
    await this.#put(params, (answer) => {
      this.#note([...new Set([...Object.keys(this.#known), ...Object.keys(answer.params)])], answer.params)
    })
  }

  /** Undoes the last change made here; later changes by others stay. */
  async #takeBack() {
    await this.#sender.idle()
    const before = this.#history.take()
    this.#undo.disabled = this.#history.empty
    if (before) await this.#put({ ...this.#known, ...before })
  }

  async #put(params, done) {
    this.#say('Applying…')
    try {
      const answer = await this.#stream.replaceParams(params)
      done?.(answer)
      this.#known = answer.params
      for (const field of this.#fields) {
        field.say(undefined)
        field.show(shownOf(field.spec, answer.params))
      }
      this.#applied({}, answer)
    } catch (error) {
      this.#presets.update()
      this.#refused(params, error)
    }
  }

  /** Params that every pipeline has, or the pipeline's own. */
  #part(params, common) {
    const names = this.#fields.filter(({ spec }) => spec.common).flatMap(({ spec }) => spec.names ?? spec.name)
    return Object.fromEntries(Object.entries(params).filter(([name]) => names.includes(name) === common))
  }

  /** True if a preset with these params would change nothing. */
  #inForce(params) {
    const own = this.#fields.filter(({ spec }) => !spec.common || spec.name in params)
    return own.every(({ spec }) => same(this.#known[spec.name] ?? null, params[spec.name] ?? spec.fallback ?? null))
  }

  #tellIgnored(pointers) {
    const names = pointers.map((pointer) => pointer.slice(1).replaceAll('~1', '/').replaceAll('~0', '~'))
    this.#ignored.hidden = names.length === 0
    const shown = names.slice(0, 10).map((name) => h('code', {}, name))
    const list = shown.flatMap((name, index) => (index === 0 ? [name] : [', ', name]))
    const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : ''
    this.#ignored.replaceChildren(
      ...(names.length === 0
        ? []
        : ['Unknown to this pipeline and ignored: ', ...list, `${more}. Check the spelling or the pipeline version.`]),
    )
  }

  #say(text) {
    setText(this.#status, text)
  }

  #complain(text) {
    this.#general.hidden = text === undefined
    this.#general.textContent = text ?? ''
  }
}

/** The value that a field shows. */
function shownOf(spec, params) {
  if (spec.names) return Object.fromEntries(spec.names.map((name) => [name, params[name]]))
  const value = params[spec.name]
  return value === undefined && !spec.empty ? spec.fallback : value
}

const sidesOf = ({ names }, value) => Object.fromEntries(names.map((name) => [name, value?.[name]]))

/** A position in a list is counted from 1, as the page shows it. */
const placeOf = (step) => (/^\d+$/.test(step) ? `Entry ${Number(step) + 1}` : label(step))
