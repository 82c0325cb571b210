import { h } from '../dom.js'

const STEP = 2
const LEAP = 10

/** The line between two overlaid frames, moved by dragging or with the arrow keys. Calls `onMove(percent)`. */
export class Divider {
  element
  #at = 50
  #onMove

  constructor(onMove) {
    this.#onMove = onMove
    this.element = h(
      'div',
      {
        class: 'divider',
        role: 'slider',
        tabindex: '0',
        'aria-label': 'Divider: input to its left, output to its right',
        'aria-valuemin': 0,
        'aria-valuemax': 100,
        hidden: true,
      },
      h('span', { class: 'divider-grip', 'aria-hidden': 'true' }),
    )
    this.element.addEventListener('keydown', (event) => this.#key(event))
    this.element.addEventListener('pointerdown', (event) => {
      this.element.setPointerCapture(event.pointerId)
      this.element.focus({ preventScroll: true })
      event.preventDefault()
    })
    this.element.addEventListener('pointermove', (event) => {
      if (this.element.hasPointerCapture(event.pointerId)) this.#drag(event.clientX)
    })
    this.place(this.#at)
  }

  /** From 0, all output, to 100, all input. */
  get at() {
    return this.#at
  }

  place(percent) {
    this.#at = Math.min(100, Math.max(0, Math.round(percent)))
    this.element.setAttribute('aria-valuenow', this.#at)
    this.element.setAttribute('aria-valuetext', `${this.#at} % input, ${100 - this.#at} % output`)
    this.element.parentElement?.style.setProperty('--split', `${this.#at}%`)
  }

  #move(percent) {
    this.place(percent)
    this.#onMove(this.#at)
  }

  #drag(x) {
    const box = this.element.parentElement.getBoundingClientRect()
    this.#move(((x - box.left) / box.width) * 100)
  }

  #key(event) {
    const moves = {
      ArrowLeft: this.#at - STEP,
      ArrowDown: this.#at - STEP,
      ArrowRight: this.#at + STEP,
      ArrowUp: this.#at + STEP,
      PageDown: this.#at - LEAP,
      PageUp: this.#at + LEAP,
      Home: 0,
      End: 100,
    }
    if (!(event.key in moves)) return
    event.preventDefault()
    this.#move(moves[event.key])
  }
}
