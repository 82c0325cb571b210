import { askForName } from '../dialogs.js'
import { freshId, h } from '../dom.js'
import { icon } from '../icons.js'
import { notify } from '../notices.js'
import { dropPreset, keepPresets, ownPresets, presetsFile, presetsOf } from './presets.js'

/**
 * Named sets of params: those of the pipeline's package and the user's own. `apply(params)` applies one, `current()`
 * resolves with the params to save, and `matches(params)` says whether a set is in effect.
 */
export class PresetsBar {
  element
  #pipeline
  #shipped = {}
  #apply
  #current
  #matches
  #select
  #delete
  #export
  #file = h('input', { type: 'file', accept: 'application/json,.json', hidden: true })

  constructor({ apply, current, matches }) {
    this.#apply = apply
    this.#current = current
    this.#matches = matches
    const id = freshId('preset')
    this.#select = h('select', { id })
    this.#select.addEventListener('change', () => this.#choose())
    this.#delete = action('remove', 'Delete', () => this.#drop())
    this.#export = action('download', 'Export', () => this.#download())
    this.#file.addEventListener('change', () => this.#take())
    this.element = h(
      'div',
      { class: 'presets' },
      h('label', { class: 'field-label', for: id }, 'Preset'),
      this.#select,
      h(
        'div',
        { class: 'preset-actions' },
        action('plus', 'Save', () => this.#save()),
        this.#delete,
        this.#export,
        action('upload', 'Import', () => this.#file.click()),
        this.#file,
      ),
    )
  }

  /** Shows the presets of another pipeline; `shipped` are those of its package. */
  show(pipeline, shipped = {}) {
    this.#pipeline = pipeline
    this.#shipped = shipped
    this.#draw()
  }

  /** Shows the name of the preset in effect, if any. */
  update() {
    const options = [...this.#select.options].filter(({ value }) => value !== '')
    const found = options.find(({ value }) => this.#matches(this.#paramsOf(value)))
    this.#select.value = found?.value ?? ''
    this.#delete.disabled = !found?.value.startsWith('own:')
  }

  #draw() {
    const own = ownPresets(this.#pipeline)
    const options = (kind, presets) =>
      Object.keys(presets).map((name) => h('option', { value: `${kind}:${name}` }, name))
    const group = (title, list) => list.length > 0 && h('optgroup', { label: title }, list)
    const all = [group('From the pipeline', options('shipped', this.#shipped)), group('Yours', options('own', own))]
    const none = !all.some(Boolean)
    this.#select.replaceChildren(h('option', { value: '' }, none ? 'None saved' : 'Choose…'), ...all.filter(Boolean))
    this.#select.disabled = none
    this.#export.disabled = Object.keys(own).length === 0
    this.update()
  }

  #paramsOf(option) {
    const [kind, name] = [option.slice(0, option.indexOf(':')), option.slice(option.indexOf(':') + 1)]
    return (kind === 'own' ? ownPresets(this.#pipeline) : this.#shipped)[name] ?? {}
  }

  #choose() {
    if (this.#select.value !== '') this.#apply(this.#paramsOf(this.#select.value))
    else this.update()
  }

  async #save() {
    const chosen = this.#select.value.startsWith('own:') ? this.#select.selectedOptions[0].textContent : ''
    const name = await askForName('Save these params as a preset', chosen, 'It is kept in this browser.')
    if (name) this.#keep({ [name]: await this.#current() }, `“${name}” saved in this browser.`)
  }

  #drop() {
    const name = this.#select.selectedOptions[0].textContent
    const params = this.#paramsOf(this.#select.value)
    dropPreset(this.#pipeline, name)
    this.#draw()
    notify(`“${name}” deleted.`, 'info', { text: 'Undo', act: () => this.#keep({ [name]: params }) })
  }

  #download() {
    const url = URL.createObjectURL(new Blob([presetsFile(this.#pipeline)], { type: 'application/json' }))
    h('a', { href: url, download: `${this.#pipeline}-presets.json` }).click()
    // Late enough for the browser to have read it.
    setTimeout(() => URL.revokeObjectURL(url), 10_000)
  }

  async #take() {
    const [file] = this.#file.files
    if (!file) return
    try {
      const presets = presetsOf(await file.text(), this.#pipeline)
      const count = Object.keys(presets).length
      this.#keep(presets, count === 1 ? '1 preset imported.' : `${count} presets imported.`)
    } catch (error) {
      notify(error.message, 'bad')
    } finally {
      this.#file.value = ''
    }
  }

  #keep(presets, said) {
    try {
      keepPresets(this.#pipeline, presets)
      if (said) notify(said, 'good')
    } catch (error) {
      notify(error.message, 'bad')
    }
    this.#draw()
  }
}

function action(name, text, act) {
  return h('button', { type: 'button', class: 'quiet small', onclick: act }, icon(name), text)
}
