import { h, setText } from '../dom.js'
import { millrace } from '../session.js'
import { stateWords } from '../words.js'

const STILL_EVERY_MS = 4000

/** A running stream in the list: a still frame that is refreshed now and then, its name and state. */
export class StreamCard {
  element
  #name
  #frame = h('img', { alt: '', hidden: true })
  #state = h('span', { class: 'pill' })
  #facts = h('span', { class: 'muted small' })
  #frameUrl
  #nextStill = 0
  #closed = false

  constructor(name) {
    this.#name = name
    this.element = h(
      'a',
      { class: 'stream-card', href: `?stream=${encodeURIComponent(name)}`, 'data-internal': true },
      h('span', { class: 'thumb' }, this.#frame),
      h('span', { class: 'stream-card-text' }, h('strong', {}, name), this.#state, this.#facts),
    )
  }

  update(status) {
    const { word, tone } = stateWords(status.state)
    this.#state.className = `pill ${tone}`
    setText(this.#state, word)
    const size = status.egress.height > 0 ? ` · ${status.egress.width}×${status.egress.height}` : ''
    setText(this.#facts, `${status.pipeline ?? 'no pipeline yet'}${size} · ${status.egress.fps.toFixed(0)} fps`)
    if (performance.now() > this.#nextStill && status.publishing !== false) void this.#renew()
  }

  close() {
    this.#closed = true
    if (this.#frameUrl) URL.revokeObjectURL(this.#frameUrl)
  }

  async #renew() {
    this.#nextStill = performance.now() + STILL_EVERY_MS
    // The stream may have no frame yet.
    const still = await millrace
      .stream(this.#name)
      .still()
      .catch(() => undefined)
    if (!still || this.#closed) return
    const old = this.#frameUrl
    this.#frameUrl = URL.createObjectURL(still)
    this.#frame.src = this.#frameUrl
    this.#frame.hidden = false
    if (old) URL.revokeObjectURL(old)
  }
}
