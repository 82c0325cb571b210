import { DataOverlay } from '../data/overlay.js'
import { h, setText } from '../dom.js'
import { icon } from '../icons.js'
import { sayError } from '../words.js'
import { Divider } from './divider.js'
import { FrameMatch } from './frame-match.js'
import { InputFrame } from './input-frame.js'
import { keepView, readAddress } from './page-address.js'

/** The stream's input and output, side by side or overlaid with a divider. */
export class Stage {
  element
  #stream
  #player
  #output = h('video', {
    dataset: { role: 'output' },
    muted: true,
    autoplay: true,
    playsinline: true,
    'aria-label': 'Output of the pipeline',
  })
  #data = new DataOverlay(this.#output)
  #input
  #screen
  #cover = h('div', { class: 'cover', hidden: true })
  #chip = h('span', { class: 'stage-chip', hidden: true })
  #mute
  #covered
  #divided = false
  #divide
  #divider = new Divider((percent) => keepView('divider', percent))
  #match

  /** `stream` is the client's `Stream`. */
  constructor(stream) {
    this.#stream = stream
    // The `muted` attribute alone does not mute an element created by script.
    this.#output.muted = true
    this.#mute = tool('muted', 'Unmute', () => this.#toggleAudio())
    const { view, split } = readAddress()
    this.#input = new InputFrame(stream, view && view !== 'output')
    this.#match = new FrameMatch(this.#input.video, this.#output)
    this.#input.video.after(this.#match.canvas)
    this.#divide = tool('divide', '', () => this.#turn(!this.#divided))
    const tools = [
      this.#data.toggle,
      this.#input.toggle,
      this.#divide,
      this.#mute,
      document.pictureInPictureEnabled &&
        tool('float', 'Picture in picture', () => this.#output.requestPictureInPicture().catch(() => {})),
      tool('expand', 'Full screen', () => this.#fillScreen()),
    ]
    this.#screen = h(
      'div',
      { class: 'screen' },
      this.#output,
      this.#data.canvas,
      this.#cover,
      this.#chip,
      h('div', { class: 'stage-tools' }, tools),
    )
    this.element = h(
      'div',
      { class: 'stage' },
      this.#input.element,
      h('figure', { class: 'frame output' }, this.#screen, h('figcaption', {}, 'Output')),
      this.#divider.element,
      this.#data.text,
    )
    if (split !== undefined) this.#divider.place(split)
    this.#divided = this.#input.fromServer = view === 'divider'
    this.#output.addEventListener('playing', () => this.#fit())
    this.#output.addEventListener('resize', () => this.#fit())
    this.#input.addEventListener('change', () => this.#arrange())
    this.#input.addEventListener('chosen', () => this.#keep())
    this.#arrange()
  }

  play() {
    if (this.#player) return
    this.#player = this.#stream.play(this.#output, { data: true })
    this.#player.on('state', (change) => this.#follow(change))
    this.#player.on('data', (message) => this.#data.push(message))
  }

  stop() {
    this.#player?.close()
    this.#player = undefined
    this.#data.clear()
    this.#input.rest()
    this.#chip.hidden = true
  }

  close() {
    this.stop()
    this.#match.on = false
    this.#input.close()
  }

  /** Covers the frame with text and buttons; undefined uncovers it. The cover is rebuilt only when `key` changes. */
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

  /** Makes no requests for the input until it is shown again. */
  restInput() {
    this.#input.rest()
  }

  measure() {
    return this.#player?.stats() ?? Promise.resolve(undefined)
  }

  /** Shows a few words over a corner of the frame. */
  chip(text) {
    this.#chip.hidden = !text
    setText(this.#chip, text ?? '')
  }

  #turn(divided) {
    this.#divided = this.#input.fromServer = divided
    if (divided) this.#input.show(true)
    this.#arrange()
    this.#keep()
  }

  #keep() {
    const [shown, divided] = [this.#input.wanted, this.#divided]
    keepView(shown ? (divided ? 'divider' : 'pair') : 'output', this.#divider.at)
  }

  #arrange() {
    const divided = this.#divided && this.#input.shown
    this.element.classList.toggle('pair', this.#input.shown && !divided)
    this.element.classList.toggle('divided', divided)
    this.#divider.element.hidden = !divided
    this.#match.on = divided
    const words = this.#divided ? 'Show input and output side by side' : 'Compare input and output with a divider'
    this.#divide.setAttribute('aria-label', words)
    this.#divide.title = words
    this.#divide.setAttribute('aria-pressed', String(this.#divided))
  }

  #follow({ state, error }) {
    if (state === 'playing') this.cover(undefined)
    else if (state === 'connecting' && this.#covered === undefined && this.#output.videoWidth === 0) {
      this.cover('connecting', h('span', { class: 'spinner', 'aria-hidden': 'true' }), h('p', {}, 'Connecting…'))
    } else if (state === 'waiting') {
      this.cover(
        'waiting',
        h('p', {}, error ? sayError(error) : 'The connection was lost. Reconnecting…'),
        h('button', { type: 'button', onclick: () => this.#player?.retry() }, 'Try now'),
      )
    }
  }

  /** Gives the box the video's aspect ratio, within limits. */
  #fit() {
    const { videoWidth, videoHeight } = this.#output
    if (videoWidth > 0) this.element.style.setProperty('--shape', `${videoWidth} / ${videoHeight}`)
  }

  #fillScreen() {
    if (document.fullscreenElement === this.#screen) void document.exitFullscreen()
    // iPhones have only their own full-screen call, and only for videos.
    else if (this.#screen.requestFullscreen) this.#screen.requestFullscreen().catch(() => {})
    else this.#output.webkitEnterFullscreen?.()
  }

  #toggleAudio() {
    const { muted } = this.#output
    this.#output.muted = !muted
    this.#mute.replaceChildren(icon(muted ? 'audio' : 'muted'))
    this.#mute.setAttribute('aria-label', muted ? 'Mute' : 'Unmute')
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
