import { ApiError } from '../client/index.js'
import { freshId, h } from '../dom.js'
import { millrace } from '../session.js'
import { label, sentence } from '../words.js'
import { titleOf } from './controls/parts.js'
import { ParamField } from './field.js'
import { ownPresets } from './presets.js'
import { membersOf, resolve, specOf } from './schema.js'
import { fits, initial, isObject, MASK } from './values.js'

/** Kinds of controls that cannot show that there is no value yet. */
const ALWAYS_SET = new Set(['checks', 'color', 'group', 'list', 'map', 'slider', 'switch', 'tuple', 'union'])

/**
 * The params without which a pipeline cannot start: those that have no default. Hidden for a pipeline that has none of
 * these. Calls `onChange()` with every edit. `heading` is the tag of its heading, `missing` is said at a field without
 * a value, `note` is shown above the fields, and `actions` below.
 */
export class StartParams {
  element
  #onChange
  #missing
  #pipeline
  #loaded = Promise.resolve()
  #entries = []
  /** The params of the chosen preset. */
  #base = {}
  #presets = {}
  #preset
  #presetField
  #fields = h('div', { class: 'start-fields' })

  constructor({ onChange = () => {}, heading = 'h2', missing = 'Required to start the stream.', note, actions }) {
    this.#onChange = onChange
    this.#missing = missing
    const [title, preset] = [freshId('start-params'), freshId('start-preset')]
    this.#preset = h('select', { id: preset, onchange: () => this.#choosePreset() })
    this.#presetField = h(
      'div',
      { class: 'field' },
      h('label', { class: 'field-label', for: preset }, 'Preset'),
      this.#preset,
    )
    this.element = h(
      'section',
      { class: 'start-params', 'aria-labelledby': title, hidden: true },
      h(heading, { id: title }, 'Required params'),
      h('p', { class: 'help' }, 'The pipeline has no defaults for these. They can be changed while the stream runs.'),
      note,
      this.#presetField,
      this.#fields,
      actions,
    )
  }

  /** True if the chosen pipeline is known to require params. */
  get required() {
    return this.#entries.length > 0
  }

  /** The params to start with, as far as they are given; undefined if there are none. */
  get value() {
    return this.#valueOf(() => true)
  }

  /** The same with a word in place of each secret, to be shown. */
  get shownValue() {
    return this.#valueOf(({ field }) => field.spec.kind !== 'secret')
  }

  /** Takes no edits while true. */
  set inert(off) {
    this.#presetField.inert = this.#fields.inert = off
  }

  /**
   * Shows the params that a pipeline or a chain requires; `brought` may have values for them. Resolves when they are
   * known.
   */
  choose(pipeline, signal, brought) {
    if (pipeline !== this.#pipeline) {
      this.#pipeline = pipeline
      this.#show(undefined)
      if (pipeline) this.#loaded = this.#load(pipeline, signal, brought)
    }
    return this.#loaded
  }

  #fill(params) {
    for (const entry of this.#entries) {
      const given = at(params, entry.path)
      // The server shows no secret.
      if (given === undefined || given === MASK) continue
      entry.value = given
      entry.field.say(undefined)
      entry.field.show(given)
    }
    this.#onChange()
  }

  /** True if they can be sent; otherwise each field without a value says so, and the first one has the focus. */
  check() {
    for (const entry of this.#entries) {
      if (entry.refused) entry.field.say(undefined)
      entry.refused = false
      const { spec } = entry.field
      if (!entry.field.wrong && !fits(spec.root, entry.schema, entry.value))
        entry.field.say(entry.value === undefined ? this.#missing : 'Fill in the empty fields.')
    }
    return !this.#focusWrong()
  }

  /** Shows at its fields why they were refused. Resolves with false if the refusal is about something else. */
  async refuse(error) {
    if (!(error instanceof ApiError) || error.errors.length === 0) return false
    await this.#loaded
    const found = error.errors.map(({ path, message }) => {
      const steps = path.split('/').slice(1).map(unescaped)
      const entry = this.#entries.find((one) => one.path.every((step, index) => step === steps[index]))
      return entry && { entry, text: [...steps.slice(entry.path.length).map(label), sentence(message)].join(': ') }
    })
    for (const { entry, text } of found.filter(Boolean)) {
      entry.refused = true
      entry.field.say(entry.value === undefined ? this.#missing : text)
    }
    this.#focusWrong()
    return found.every(Boolean)
  }

  async #load(pipeline, signal, brought) {
    try {
      const details = await millrace.pipeline(pipeline, { signal })
      if (pipeline === this.#pipeline) this.#show(details, brought)
    } catch {
      // Without its details the start or the switch itself reports what is wrong with the pipeline.
    }
  }

  #show(details, brought = {}) {
    this.#base = {}
    this.#entries = details ? requiredOf(details).map((entry) => this.#entry(entry, details)) : []
    this.#fields.replaceChildren(...this.#entries.map(({ field }) => field.element))
    this.element.hidden = !this.required
    if (this.required) {
      this.#showPresets(details)
      this.#fill(brought)
    } else this.#onChange()
  }

  #entry({ path, schema, spec }, { stages }) {
    const edited = (value) => {
      entry.value = value
      this.#onChange()
    }
    const says = stages?.length > 1 ? `${titleOf(spec)} (${path[0]})` : undefined
    const field = new ParamField(spec, edited, { inner: true, says })
    const entry = { path, schema, field, value: firstValue(spec, schema) }
    field.show(entry.value)
    return entry
  }

  #showPresets({ name, presets }) {
    const kinds = [
      ['From the pipeline', presets ?? {}],
      ['Yours', ownPresets(name)],
    ]
    const groups = kinds.map(([title, sets], kind) =>
      h(
        'optgroup',
        { label: title },
        Object.keys(sets).map((preset, index) => h('option', { value: `${kind}:${index}` }, preset)),
      ),
    )
    this.#presets = Object.fromEntries(
      kinds.flatMap(([, sets], kind) => Object.values(sets).map((params, index) => [`${kind}:${index}`, params])),
    )
    const some = groups.filter((group) => group.children.length > 0)
    this.#preset.replaceChildren(h('option', { value: '' }, 'None'), ...some)
    this.#presetField.hidden = some.length === 0
  }

  #choosePreset() {
    this.#base = this.#presets[this.#preset.value] ?? {}
    this.#fill(this.#base)
  }

  #valueOf(shown) {
    const value = structuredClone(this.#base)
    for (const entry of this.#entries) put(value, entry.path, shown(entry) ? entry.value : 'SECRET')
    return Object.keys(value).length > 0 ? value : undefined
  }

  #focusWrong() {
    const wrong = this.#entries.find(({ field }) => field.wrong)
    wrong?.field.element.querySelector('input, select, textarea')?.focus()
    return wrong !== undefined
  }
}

/** The params without a default as `{ path, schema, spec }`; in a chain the path begins with the stage. */
function requiredOf({ params: root, defaults, stages }) {
  const whole = resolve(root, root)
  const chain = stages?.length > 1
  const parts = chain
    ? membersOf(root, whole).map(([stage, schema]) => [[stage], resolve(root, schema), defaults[stage] ?? {}])
    : [[[], whole, defaults]]
  return parts.flatMap(([path, part, given]) =>
    membersOf(root, part)
      .filter(([, , required]) => required)
      .map(([name, schema]) => ({
        path: [...path, name],
        schema,
        spec: specOf(root, name, schema, { fallback: given[name], required: true }),
      }))
      .filter(({ spec }) => spec.fallback === undefined),
  )
}

function firstValue(spec, schema) {
  if (spec.empty) return spec.empty.value
  return ALWAYS_SET.has(spec.kind) ? initial(spec.root, schema) : undefined
}

const at = (params, path) => path.reduce((value, step) => (isObject(value) ? value[step] : undefined), params)

function put(params, [step, ...rest], value) {
  if (value === undefined) return
  if (rest.length === 0) params[step] = value
  else {
    params[step] ??= {}
    put(params[step], rest, value)
  }
}

const unescaped = (step) => step.replaceAll('~1', '/').replaceAll('~0', '~')
