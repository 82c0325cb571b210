import { h, setText } from '../dom.js'
import { icon } from '../icons.js'
import { WhepPlayer } from '../live/whep-player.js'
import { sayError } from '../words.js'
import { InputFrame } from './input-frame.js'

/** The frames: the stream's input and its output, side by side. */
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
  #input
  #cover = h('div', { class: 'cover', hidden: true })
  #chip = h('span', { class: 'stage-chip', hidden: true })
  #mute
  #covered

  constructor(name) {
    this.#name = name
    // The attribute alone does not mute an element made by script.
    this.#output.muted = true
    this.#mute = tool('muted', 'Turn the audio on', () => this.#toggleAudio())
    this.#input = new InputFrame(name)
    const tools = [
      this.#input.toggle,
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
    this.element = h(
      'div',
      { class: 'stage' },
      this.#input.element,
      h('figure', { class: 'frame output' }, screen, h('figcaption', {}, 'Output')),
    )
    this.#output.addEventListener('playing', () => this.#fit())
    this.#output.addEventListener('resize', () => this.#fit())
    this.#input.addEventListener('change', () => this.#arrange())
    this.#arrange()
  }

  play() {
    if (this.#player) return
    this.#player = new WhepPlayer(this.#name, this.#output)
    this.#player.addEventListener('state', ({ detail }) => this.#follow(detail))
  }

  stop() {
    this.#player?.close()
    this.#player = undefined
    this.#input.rest()
    this.#chip.hidden = true
  }

  close() {
    this.stop()
    this.#input.close()
  }

  /** Covers the frame with words and buttons; undefined uncovers it. `key` tells whether they are still the same. */
  cover(key, ...content) {
    if (this.#covered === key) return
    this.#covered = key
    this.#cover.replaceChildren(...content.flat().filter(Boolean))
    this.#cover.hidden = key === undefined
  }

  /** Whether the stream has a publisher; undefined while there is no stream. */
  showInput(publishing) {
    this.#input.update(publishing)
  }

  /** Leaves the input alone until it is shown again. */
  restInput() {
    this.#input.rest()
  }

  measure() {
    return this.#player?.measure() ?? Promise.resolve(undefined)
  }

  /** A few words over a corner of the frame. */
  chip(text) {
    this.#chip.hidden = !text
    setText(this.#chip, text ?? '')
  }

  #arrange() {
    this.element.classList.toggle('pair', this.#input.shown)
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

  /** The box takes the aspect ratio of the video, within reason. */
  #fit() {
    const { videoWidth, videoHeight } = this.#output
    if (videoWidth > 0) this.element.style.setProperty('--shape', `${videoWidth} / ${videoHeight}`)
  }

  #fillScreen() {
    // Phones of one maker know only their own way, and only for videos.
    if (this.#output.requestFullscreen) this.#output.requestFullscreen().catch(() => {})
    else this.#output.webkitEnterFullscreen?.()
  }

  #toggleAudio() {
    const { muted } = this.#output
    this.#output.muted = !muted
    this.#mute.replaceChildren(icon(muted ? 'audio' : 'muted'))
    this.#mute.setAttribute('aria-label', muted ? 'Turn the audio off' : 'Turn the audio on')
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
