import { h, setText } from '../dom.js'
import { duration, stateWords } from '../words.js'

const SPAN_MS = 300_000
const MAX_SPELLS = 60

/** The state over the last five minutes as a coloured strip, and as a list for screen readers. */
export class StateStrip {
  element
  #word = h('span', { class: 'tile-value' }, '–')
  #since = h('span', { class: 'tile-unit' })
  #strip = h('div', { class: 'strip-bar', 'aria-hidden': 'true' })
  #words = h('ol', { class: 'visually-hidden' })
  /** `{ state, from }`, oldest first. */
  #spells = []

  constructor() {
    this.element = h(
      'div',
      { class: 'tile' },
      h('div', { class: 'tile-head' }, h('h3', {}, 'State')),
      h('p', { class: 'tile-figure' }, this.#word, ' ', this.#since),
      h('div', { class: 'strip' }, this.#strip),
      h('div', { class: 'strip-scale', 'aria-hidden': 'true' }, h('span', {}, '5 min ago'), h('span', {}, 'now')),
      this.#words,
    )
  }

  /** Adds states from before the page was opened, `{ state, from }`, oldest first. */
  precede(spells) {
    const [first] = this.#spells
    const earlier = spells.filter(({ from }) => !first || from < first.from)
    const goesOn = first && earlier.at(-1)?.state === first.state
    this.#spells = [...earlier, ...(goesOn ? this.#spells.slice(1) : this.#spells)].slice(-MAX_SPELLS)
    if (this.#spells.length > 0) this.#tell()
  }

  /** Records the state at `now` (ms since 1970), which began at `since`, and redraws the strip. */
  note(state, since, now = Date.now()) {
    if (this.#spells.at(-1)?.state !== state) {
      this.#spells.push({ state, from: since ?? now })
      if (this.#spells.length > MAX_SPELLS) this.#spells.shift()
      this.#tell()
    }
    setText(this.#since, `for ${duration(now - (since ?? this.#spells.at(-1).from))}`)
    this.#draw(now)
  }

  #draw(now) {
    const begin = now - SPAN_MS
    const share = (ms) => `${((ms / SPAN_MS) * 100).toFixed(3)}%`
    const parts = this.#spells.flatMap(({ state, from }, index) => {
      const until = this.#spells[index + 1]?.from ?? now
      if (until <= begin) return []
      const start = Math.max(from, begin)
      const { word, tone } = stateWords(state)
      const style = { left: share(start - begin), width: share(until - start) }
      return [h('span', { class: `spell ${tone}`, title: `${word}, ${duration(until - start)}`, style })]
    })
    this.#strip.replaceChildren(...parts)
  }

  #tell() {
    setText(this.#word, stateWords(this.#spells.at(-1).state).word)
    const lines = this.#spells.map(({ state, from }) =>
      h('li', {}, `${new Date(from).toLocaleTimeString()}: ${stateWords(state).word}`),
    )
    this.#words.replaceChildren(...lines)
  }
}
