import { h, setText } from '../dom.js'
import { sentence } from '../words.js'

/** Errors of a pipeline that loads: a later change superseded this one, or its params were refused. */
const LOADS = new Set(['conflict', 'invalid-params'])

/** Shows why a pipeline failed to load, with the lines of its code, until one is on air again. */
export class LoadError {
  element
  #title = h('h2', {})
  #message = h('p', {})
  #place = h('p', { class: 'place' })
  #code = h('pre', { tabindex: '0' })

  constructor() {
    this.element = h(
      'section',
      { class: 'panel load-error', role: 'alert', hidden: true },
      this.#title,
      this.#message,
      this.#place,
      this.#code,
    )
  }

  /** Takes a `pipeline` event. */
  show({ status, pipeline, error }) {
    if (status === 'on-air') this.clear()
    if (status !== 'failed' || LOADS.has(error?.code)) return
    const code = error?.details?.code
    setText(this.#title, `${pipeline} does not load. The previous pipeline stays on air.`)
    setText(this.#message, sentence(error?.message ?? ''))
    setText(this.#place, code ? [code.file, code.line, code.column].filter(Boolean).join(':') : '')
    setText(this.#code, code?.text ?? '')
    this.#place.hidden = this.#code.hidden = !code
    this.element.hidden = false
  }

  clear() {
    this.element.hidden = true
  }
}
