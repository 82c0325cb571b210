import { freshId, h, setText } from '../dom.js'
import { icon } from '../icons.js'
import { duration } from '../words.js'

const STEP_SECONDS = 0.1

/** Playback controls for a file that is published from this page. */
export class FileControls {
  element = h('section', { class: 'panel file-controls', 'aria-label': 'The file', hidden: true })
  #source
  #play
  #seek
  #time
  #closing

  /** Takes the file of the stream shown; undefined if its source is not a file. */
  show(source) {
    if (source === this.#source) return
    this.#closing?.abort()
    this.#source = source
    this.element.hidden = source === undefined
    if (!source) return this.element.replaceChildren()
    this.#closing = new AbortController()
    this.#build(source)
    source.addEventListener('change', () => this.#update(), { signal: this.#closing.signal })
    this.#update()
  }

  close() {
    this.show(undefined)
  }

  #build(source) {
    this.#play = h('button', { type: 'button', class: 'icon-button', onclick: () => this.#toggle() })
    this.#seek = h('input', {
      type: 'range',
      min: 0,
      max: source.duration,
      step: STEP_SECONDS,
      'aria-label': 'Position in the file',
    })
    this.#seek.addEventListener('input', () => source.seek(Number(this.#seek.value)))
    this.#time = h('span', { class: 'muted small' })
    const loop = h('input', { type: 'checkbox', role: 'switch', id: freshId('loop') })
    loop.checked = source.loop
    loop.addEventListener('change', () => {
      source.loop = loop.checked
    })
    this.element.replaceChildren(
      h('strong', { class: 'file-name' }, source.name),
      h('div', { class: 'file-place' }, this.#play, this.#seek, this.#time),
      h(
        'div',
        { class: 'file-options' },
        h('span', { class: 'file-loop' }, loop, h('label', { for: loop.id }, 'Loop')),
        source.hasVolume && volumeOf(source),
        !source.hasAudio && h('span', { class: 'muted small' }, 'No audio'),
      ),
    )
  }

  #toggle() {
    if (this.#source.playing) this.#source.pause()
    else void this.#source.play()
  }

  #update() {
    const { playing, time, duration: whole } = this.#source
    const words = playing ? 'Pause' : 'Play'
    if (this.#play.title !== words) {
      this.#play.replaceChildren(icon(playing ? 'pause' : 'play'))
      this.#play.title = words
      this.#play.setAttribute('aria-label', words)
    }
    this.#seek.value = time
    this.#seek.style.setProperty('--share', `${(time / (whole || 1)) * 100}%`)
    this.#seek.setAttribute('aria-valuetext', `${duration(time * 1000)} of ${duration(whole * 1000)}`)
    setText(this.#time, `${duration(time * 1000)} / ${duration(whole * 1000)}`)
  }
}

function volumeOf(source) {
  const id = freshId('volume')
  const volume = h('input', { type: 'range', id, min: 0, max: 100, step: 1 })
  const paint = () => volume.style.setProperty('--share', `${volume.value}%`)
  volume.value = source.volume * 100
  paint()
  volume.addEventListener('input', () => {
    source.volume = Number(volume.value) / 100
    paint()
  })
  return h('span', { class: 'file-volume' }, h('label', { for: id }, 'Volume'), volume)
}
