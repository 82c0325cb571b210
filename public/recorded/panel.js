import { h } from '../dom.js'
import { icon } from '../icons.js'
import { notify } from '../notices.js'
import { sayError } from '../words.js'
import { RecordingList } from './list.js'

const VIEWS = ['output', 'input']

/** Starts and stops recordings of one stream, and lists its files. */
export class RecordingsPanel {
  element
  #stream
  #list
  #buttons = new Map()
  /** Running recordings by view: `{ id, startedAt }`. */
  #running = new Map()
  #live = false

  /** `stream` is the client's `Stream`. */
  constructor(stream, signal) {
    this.#stream = stream
    this.#list = new RecordingList({ stream: stream.name, signal })
    for (const view of VIEWS) {
      const button = h('button', { type: 'button', class: 'small record', onclick: () => this.#toggle(view) })
      this.#buttons.set(view, button)
    }
    this.element = h(
      'section',
      { class: 'panel', 'aria-labelledby': 'recordings-title' },
      h(
        'div',
        { class: 'panel-head' },
        h('h2', { id: 'recordings-title' }, 'Recordings'),
        h('div', { class: 'row' }, [...this.#buttons.values()]),
      ),
      this.#list.element,
    )
    this.#list.onChange = () => this.#settle()
    this.#settle()
  }

  /** Whether there is a stream to record. */
  set live(live) {
    if (this.#live === live) return
    this.#live = live
    void this.refresh()
  }

  /** Fetches the running recordings and the files, as after a `recording` event. */
  async refresh() {
    try {
      const all = this.#live ? await this.#stream.recordings() : []
      this.#running = new Map(all.filter(({ state }) => state === 'recording').map((one) => [one.view, one]))
    } catch {
      // The next event tries again.
    }
    this.#settle()
    this.#list.expecting = this.#running.size > 0
    await this.#list.refresh()
  }

  #settle() {
    for (const [view, button] of this.#buttons) {
      const on = this.#running.has(view)
      const words = `${on ? 'Stop recording' : 'Record'} the ${view}`
      button.hidden = !this.#live
      button.classList.toggle('on', on)
      if (button.textContent !== words) button.replaceChildren(icon(on ? 'stop' : 'record'), words)
    }
    this.element.hidden = !this.#live && this.#list.empty
  }

  async #toggle(view) {
    const button = this.#buttons.get(view)
    const running = this.#running.get(view)
    button.disabled = true
    try {
      if (running) await this.#stream.stopRecording(running.id)
      else await this.#stream.startRecording({ view })
    } catch (error) {
      notify(sayError(error), 'bad')
    } finally {
      button.disabled = false
      await this.refresh()
    }
  }
}
