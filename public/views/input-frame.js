import { h } from '../dom.js'
import { icon } from '../icons.js'
import { publications } from '../live/publications.js'
import { WhepPlayer } from '../live/whep-player.js'
import { sayError } from '../words.js'

const KEY = 'millrace-input-frame'
/** A glance at another tab is shorter. */
const AWAY_MS = 30_000
/** On a phone there is room for one frame. */
const ROOM_FOR_TWO = '(min-width: 621px)'

/**
 * What comes in, beside the output: the local media where this page publishes, else a small view from the server, which
 * costs that an encoder and so is asked for only while it is looked at. Tells `change` when it is shown or hidden.
 */
export class InputFrame extends EventTarget {
  element
  /** Shows and hides the frame, and is remembered. */
  toggle
  #name
  #video = h('video', {
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
  #awayTimer
  #closing = new AbortController()

  constructor(name) {
    super()
    this.#name = name
    // The attribute alone does not mute an element made by script.
    this.#video.muted = true
    this.element = h(
      'figure',
      { class: 'frame input' },
      h('div', { class: 'screen' }, this.#video, this.#cover),
      h('figcaption', {}, 'Input'),
    )
    this.toggle = h(
      'button',
      { type: 'button', class: 'stage-tool', onclick: () => this.#turn(!this.#wanted) },
      icon('pair'),
    )
    document.addEventListener('visibilitychange', () => this.#look(), { signal: this.#closing.signal })
    this.#settle()
  }

  get shown() {
    return !this.element.hidden
  }

  /** Whether the stream has a publisher; undefined while there is no stream. */
  update(publishing) {
    this.#publishing = publishing
    this.#settle()
  }

  /** Leaves the server alone until the next `update`. */
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

  #turn(wanted) {
    this.#wanted = wanted
    localStorage.setItem(KEY, wanted ? 'shown' : 'hidden')
    this.#settle()
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
    const media = publications.mediaOf(this.#name)
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
    if (this.#video.srcObject !== media) this.#video.srcObject = media
    const lost = publications.stateOf(this.#name) === 'waiting'
    this.#say(lost ? 'The connection was lost. Publishing again…' : undefined, lost && 'again', () =>
      publications.retry(this.#name),
    )
  }

  #showRemote() {
    if (!this.#player) this.#video.srcObject = null
    if (!this.shown || this.#away) return this.#stop()
    // Who left may come back, and finds the connection open; without any there is nothing to open it for.
    if (this.#publishing && !this.#player) this.#play()
    if (!this.#publishing) this.#say('Nobody publishes at the moment.')
    else if (this.#playing === 'playing') this.#say(undefined)
    else if (this.#playing === 'connecting') this.#say('Connecting…', 'spinner')
  }

  #play() {
    this.#player = new WhepPlayer(this.#name, this.#video, { view: 'input' })
    this.#playing = 'connecting'
    this.#player.addEventListener('state', ({ detail: { state, error } }) => {
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

  /** Covers the frame with words, and a spinner or a button to try again; undefined uncovers it. */
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
