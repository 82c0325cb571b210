import { h } from '../dom.js'
import { icon } from '../icons.js'
import { publications } from '../live/publications.js'
import { sayError } from '../words.js'

const KEY = 'millrace-input-frame'
/** Longer than a glance at another tab. */
const AWAY_MS = 30_000
/** A phone has room for one frame only. */
const ROOM_FOR_TWO = '(min-width: 621px)'

/**
 * The input beside the output: the local media if this page publishes, else a small view from the server, requested
 * only while visible because it costs the server an encoder. Emits `change` when it is shown or hidden.
 */
export class InputFrame extends EventTarget {
  element
  /** Shows and hides the frame; the choice is remembered. */
  toggle
  #stream
  video = h('video', {
    muted: true,
    autoplay: true,
    playsinline: true,
    dataset: { role: 'input' },
    'aria-label': 'Input of the pipeline',
  })
  #cover = h('div', { class: 'cover', hidden: true })
  #covered
  #player
  #playing
  #wanted = remembered() ?? matchMedia(ROOM_FOR_TWO).matches
  #publishing
  #away = false
  #fromServer = false
  #awayTimer
  #closing = new AbortController()

  /** `stream` is the client's `Stream`; `wanted` says whether the frame is shown, if the address says so. */
  constructor(stream, wanted) {
    super()
    this.#stream = stream
    this.#wanted = wanted ?? this.#wanted
    // The `muted` attribute alone does not mute an element created by script.
    this.video.muted = true
    this.element = h(
      'figure',
      { class: 'frame input' },
      h('div', { class: 'screen' }, this.video, this.#cover),
      h('figcaption', {}, 'Input'),
    )
    this.toggle = h(
      'button',
      { type: 'button', class: 'stage-tool', onclick: () => this.show(!this.#wanted) },
      icon('pair'),
    )
    document.addEventListener('visibilitychange', () => this.#look(), { signal: this.#closing.signal })
    this.#settle()
  }

  get shown() {
    return !this.element.hidden
  }

  /** Whether the user wants to see the input, available or not. */
  get wanted() {
    return this.#wanted
  }

  /** Whether the stream has a publisher; undefined while there is no stream. */
  update(publishing) {
    this.#publishing = publishing
    this.#settle()
  }

  /** Makes no requests until the next `update`. */
  rest() {
    if (this.#publishing !== undefined) this.#publishing = false
    this.#settle()
    this.#stop()
  }

  close() {
    this.#closing.abort()
    clearTimeout(this.#awayTimer)
    this.#stop()
  }

  /** The server's view lags like the output, less the pipeline; local media does not. */
  set fromServer(on) {
    this.#fromServer = on
    this.#settle()
  }

  show(wanted) {
    this.#wanted = wanted
    localStorage.setItem(KEY, wanted ? 'shown' : 'hidden')
    this.#settle()
    this.dispatchEvent(new Event('chosen'))
  }

  #look() {
    clearTimeout(this.#awayTimer)
    if (!document.hidden) return this.#setAway(false)
    this.#awayTimer = setTimeout(() => this.#setAway(true), AWAY_MS)
  }

  #setAway(away) {
    this.#away = away
    this.#settle()
  }

  #settle() {
    const media = this.#fromServer ? undefined : publications.mediaOf(this.#stream.name)
    const was = this.shown
    this.element.hidden = !this.#wanted || (media === undefined && this.#publishing === undefined)
    const words = this.#wanted ? 'Hide the input' : 'Show the input beside the output'
    this.toggle.setAttribute('aria-label', words)
    this.toggle.title = words
    this.toggle.setAttribute('aria-pressed', String(this.#wanted))
    if (media) this.#showLocal(media)
    else this.#showRemote()
    if (was !== this.shown) this.dispatchEvent(new Event('change'))
  }

  #showLocal(media) {
    this.#stop()
    if (this.video.srcObject !== media) this.video.srcObject = media
    const lost = publications.stateOf(this.#stream.name) === 'waiting'
    this.#say(lost ? 'The connection was lost. Publishing again…' : undefined, lost && 'again', () =>
      publications.retry(this.#stream.name),
    )
  }

  #showRemote() {
    if (!this.#player && this.video.srcObject) this.video.srcObject = null
    if (!this.shown || this.#away) return this.#stop()
    // The publisher may return, and then finds the connection open. Without one there is nothing to connect to.
    if (this.#publishing && !this.#player) this.#play()
    if (!this.#publishing) this.#say('Nobody is publishing.')
    else if (this.#playing === 'playing') this.#say(undefined)
    else if (this.#playing === 'connecting') this.#say('Connecting…', 'spinner')
  }

  #play() {
    this.#player = this.#stream.play(this.video, { view: 'input' })
    this.#playing = 'connecting'
    this.#player.on('state', ({ state, error }) => {
      this.#playing = state
      if (state === 'waiting')
        this.#say(error ? sayError(error) : 'The connection was lost.', 'again', () => this.#player?.retry())
      else if (state !== 'closed') this.#showRemote()
    })
  }

  #stop() {
    const player = this.#player
    this.#player = undefined
    this.#playing = undefined
    player?.close()
  }

  /** Covers the frame with text and a spinner or a retry button; undefined uncovers it. */
  #say(text, look, again) {
    if (this.#covered === text) return
    this.#covered = text
    this.#cover.hidden = text === undefined
    this.#cover.replaceChildren(
      ...[
        look === 'spinner' && h('span', { class: 'spinner', 'aria-hidden': 'true' }),
        text && h('p', {}, text),
        look === 'again' && h('button', { type: 'button', onclick: again }, 'Try now'),
      ].filter(Boolean),
    )
  }
}

function remembered() {
  const kept = localStorage.getItem(KEY)
  return kept === null ? undefined : kept === 'shown'
}
