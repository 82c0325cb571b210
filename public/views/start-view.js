import { h, svg } from '../dom.js'
import { icon } from '../icons.js'
import { takesWhip } from '../live/whip-publisher.js'
import { PipelineChoice } from './pipeline-choice.js'
import { publishLines } from './share-panel.js'
import { StreamCard } from './stream-card.js'
import { wayButton } from './ways.js'

const NAME = '[A-Za-z0-9][A-Za-z0-9_.\\-]{0,63}'

/** The first page: what runs, and three ways to begin. `go(name)` opens a stream. */
export class StartView {
  element
  #go
  #cards = new Map()
  #grid = h('div', { class: 'stream-grid' })
  #running = h(
    'section',
    { class: 'running', 'aria-labelledby': 'running-title', hidden: true },
    h('h2', { id: 'running-title' }, 'Running now'),
    this.#grid,
  )
  #name = h('input', {
    id: 'stream-name',
    value: 'demo',
    pattern: NAME,
    required: true,
    maxlength: 64,
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-describedby': 'stream-name-help',
  })
  #pipeline = new PipelineChoice()
  #lines = h('div', { class: 'lines' })
  #nameEdited = false
  #closing = new AbortController()
  #mediaNote = h('p', { class: 'help', hidden: true })
  #mediaButtons

  constructor(go) {
    this.#go = go
    this.#mediaButtons = [this.#button('camera'), this.#button('screen')]
    this.element = h(
      'div',
      { class: 'start' },
      h(
        'section',
        { class: 'hero' },
        waves(),
        h('h1', {}, 'Live video, through a model, and back.'),
        h(
          'p',
          { class: 'lead' },
          'Start a stream, choose the pipeline its frames go through, and change it while it plays.',
        ),
      ),
      this.#running,
      h(
        'section',
        { class: 'begin', 'aria-labelledby': 'begin-title' },
        h('h2', { id: 'begin-title' }, 'Start a stream'),
        h(
          'div',
          { class: 'begin-form' },
          h(
            'div',
            { class: 'field' },
            h('label', { class: 'field-label', for: 'stream-name' }, 'Stream name'),
            this.#name,
            h(
              'p',
              { class: 'help', id: 'stream-name-help' },
              'Letters, digits, “_”, “.” and “-”. It becomes part of the addresses.',
            ),
          ),
          this.#pipeline.element,
        ),
        h('div', { class: 'ways' }, this.#testWay(), this.#mediaWay(), this.#elsewhereWay()),
      ),
    )
    this.#name.addEventListener('input', () => {
      this.#nameEdited = true
      this.#writeLines()
    })
    this.#pipeline.element.addEventListener('change', () => this.#writeLines())
    this.#writeLines()
    void this.#load()
  }

  /** What runs, from the server's list. */
  update(streams) {
    const names = new Set(streams.map(({ name }) => name))
    for (const [name, card] of this.#cards) {
      if (names.has(name)) continue
      card.close()
      card.element.remove()
      this.#cards.delete(name)
    }
    for (const status of streams) {
      let card = this.#cards.get(status.name)
      if (!card) {
        card = new StreamCard(status.name)
        this.#cards.set(status.name, card)
        this.#grid.append(card.element)
      }
      card.update(status)
    }
    this.#running.hidden = streams.length === 0
    this.#suggestName(names)
  }

  close() {
    this.#closing.abort()
    for (const card of this.#cards.values()) card.close()
  }

  get #stream() {
    return this.#name.value.trim()
  }

  async #load() {
    const { signal } = this.#closing
    await this.#pipeline.load(signal)
    this.#writeLines()
    if (await takesWhip()) return
    for (const button of this.#mediaButtons) button.disabled = true
    this.#mediaNote.hidden = false
    this.#mediaNote.textContent = 'This server does not take WebRTC publishers. Use the test pattern, or ffmpeg.'
  }

  #testWay() {
    return way(
      'frame',
      'Test pattern',
      'A moving image with audio, made by the server. The quickest way to see it all work.',
      [this.#button('test', 'primary')],
    )
  }

  #mediaWay() {
    return way(
      'camera',
      'Camera or screen',
      'Publish from this browser. You choose the device, and see its image before anybody else does.',
      [h('div', { class: 'row' }, this.#mediaButtons), this.#mediaNote],
    )
  }

  #elsewhereWay() {
    return way(
      'terminal',
      'ffmpeg or OBS',
      'Send a file or a scene from another program. The stream opens when it arrives.',
      [
        this.#lines,
        h(
          'button',
          { type: 'button', onclick: () => this.#valid() && this.#go(this.#stream) },
          'Wait for it here',
          icon('arrow'),
        ),
      ],
      'wide',
    )
  }

  #button(way, look = '') {
    // The suggested name changes as soon as the stream is there.
    const what = () => this.#valid() && { name: this.#stream, pipeline: this.#pipeline.value }
    return wayButton(way, look, what, (name) => this.#go(name))
  }

  #writeLines() {
    this.#lines.replaceChildren(...publishLines(this.#stream || 'demo', this.#pipeline.value).filter(Boolean))
  }

  /** A name that is still free, until the user writes one. */
  #suggestName(taken) {
    if (this.#nameEdited || !taken.has(this.#stream) || document.activeElement === this.#name) return
    let number = 2
    while (taken.has(`demo-${number}`)) number++
    this.#name.value = `demo-${number}`
    this.#writeLines()
  }

  #valid() {
    this.#name.setCustomValidity('')
    if (this.#name.checkValidity()) return true
    this.#name.setCustomValidity('Use 1 to 64 letters, digits, “_”, “.” or “-”, beginning with a letter or digit.')
    this.#name.reportValidity()
    return false
  }
}

function way(iconName, title, text, content, look = '') {
  const head = h('h3', {}, icon(iconName), title)
  return h('article', { class: `way ${look}` }, head, h('p', { class: 'muted' }, text), content)
}

/** Lines of water, for the eye only. */
function waves() {
  const line = (row) => {
    const y = 40 + row * 16
    const swing = 10 + row * 2
    return `M0 ${y}C70 ${y - swing} 140 ${y - swing} 210 ${y}S350 ${y + swing} 420 ${y}S560 ${y - swing} 630 ${y}`
  }
  const paths = Array.from({ length: 7 }, (_, row) => svg('path', { d: line(row) }))
  return svg('svg', { viewBox: '0 0 560 190', preserveAspectRatio: 'xMaxYMid slice', 'aria-hidden': 'true' }, paths)
}
