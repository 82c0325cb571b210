import { h, setText } from '../dom.js'
import { icon } from '../icons.js'
import { publications } from '../live/publications.js'
import { WhepPlayer } from '../live/whep-player.js'
import { sayError } from '../words.js'

/** The pictures: the stream's output, and beside it the input when it comes from this page. */
export class Stage {
  element
  #name
  #player
  #output = h('video', {
    dataset: { role: 'output' },
    muted: true,
    autoplay: true,
    playsinline: true,
    'aria-label': 'Output of the pipeline',
  })
  #input = h('video', {
    muted: true,
    autoplay: true,
    playsinline: true,
    dataset: { role: 'input' },
    'aria-label': 'Input from this computer',
  })
  #inputBox
  #cover = h('div', { class: 'cover', hidden: true })
  #chip = h('span', { class: 'stage-chip', hidden: true })
  #mute
  #covered

  constructor(name) {
    this.#name = name
    // The attribute alone does not mute an element made by script.
    this.#output.muted = true
    this.#input.muted = true
    this.#mute = tool('muted', 'Turn the sound on', () => this.#toggleSound())
    const tools = [
      this.#mute,
      document.pictureInPictureEnabled &&
        tool('float', 'Picture in picture', () => this.#output.requestPictureInPicture().catch(() => {})),
      tool('expand', 'Full screen', () => this.#fillScreen()),
    ]
    const screen = h(
      'div',
      { class: 'screen' },
      this.#output,
      this.#cover,
      this.#chip,
      h('div', { class: 'stage-tools' }, tools),
    )
    this.#inputBox = h(
      'figure',
      { class: 'picture input', hidden: true },
      h('div', { class: 'screen' }, this.#input),
      h('figcaption', {}, 'Input'),
    )
    this.element = h(
      'div',
      { class: 'stage' },
      this.#inputBox,
      h('figure', { class: 'picture output' }, screen, h('figcaption', {}, 'Output')),
    )
    this.#output.addEventListener('playing', () => this.#fit())
    this.#output.addEventListener('resize', () => this.#fit())
    this.showInput()
  }

  get playing() {
    return this.#player !== undefined
  }

  play() {
    if (this.#player) return
    this.#player = new WhepPlayer(this.#name, this.#output)
    this.#player.addEventListener('state', ({ detail }) => this.#follow(detail))
  }

  stop() {
    this.#player?.close()
    this.#player = undefined
    this.#chip.hidden = true
  }

  /** Covers the picture with words and buttons; undefined uncovers it. `key` tells whether they are still the same. */
  cover(key, ...content) {
    if (this.#covered === key) return
    this.#covered = key
    this.#cover.replaceChildren(...content.flat().filter(Boolean))
    this.#cover.hidden = key === undefined
  }

  /** The local picture, or none. */
  showInput() {
    const media = publications.mediaOf(this.#name)
    if (this.#input.srcObject !== (media ?? null)) this.#input.srcObject = media ?? null
    this.#inputBox.hidden = media === undefined
    this.element.classList.toggle('pair', media !== undefined)
  }

  measure() {
    return this.#player?.measure() ?? Promise.resolve(undefined)
  }

  /** A few words over a corner of the picture. */
  chip(text) {
    this.#chip.hidden = !text
    setText(this.#chip, text ?? '')
  }

  #follow({ state, error }) {
    if (state === 'playing') this.cover(undefined)
    else if (state === 'connecting' && this.#covered === undefined && this.#output.videoWidth === 0) {
      this.cover('connecting', h('span', { class: 'spinner', 'aria-hidden': 'true' }), h('p', {}, 'Connecting…'))
    } else if (state === 'waiting') {
      this.cover(
        'waiting',
        h('p', {}, error ? sayError(error) : 'The connection was lost. Connecting again…'),
        h('button', { type: 'button', onclick: () => this.#player?.retry() }, 'Try now'),
      )
    }
  }

  /** The frame takes the picture's own shape, within reason. */
  #fit() {
    const { videoWidth, videoHeight } = this.#output
    if (videoWidth > 0) this.element.style.setProperty('--shape', `${videoWidth} / ${videoHeight}`)
  }

  #fillScreen() {
    // Phones of one maker know only their own way, and only for videos.
    if (this.#output.requestFullscreen) this.#output.requestFullscreen().catch(() => {})
    else this.#output.webkitEnterFullscreen?.()
  }

  #toggleSound() {
    const { muted } = this.#output
    this.#output.muted = !muted
    this.#mute.replaceChildren(icon(muted ? 'sound' : 'muted'))
    this.#mute.setAttribute('aria-label', muted ? 'Turn the sound off' : 'Turn the sound on')
    this.#mute.title = this.#mute.getAttribute('aria-label')
  }
}

function tool(iconName, words, onclick) {
  return h(
    'button',
    { type: 'button', class: 'stage-tool', 'aria-label': words, title: words, onclick },
    icon(iconName),
  )
}
