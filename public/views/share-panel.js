import { h } from '../dom.js'
import { copyLine } from '../live/copy-line.js'
import { token } from '../session.js'
import { phonePart } from './phone.js'

/**
 * Addresses and command lines for one stream, to copy; hidden until they are shown. `link()` returns this page's address
 * with its view and params.
 */
export class SharePanel {
  element
  #name
  #publish = h('div', {})
  #note = h('p', { class: 'muted small' }, 'This server requires a token: replace TOKEN in the lines with it.')
  #shown

  constructor(name, link) {
    this.#name = name
    this.element = h(
      'section',
      { class: 'panel', 'aria-labelledby': 'share-title', hidden: true },
      h('div', { class: 'panel-head' }, h('h2', { id: 'share-title' }, 'Watch and publish elsewhere')),
      h(
        'div',
        { class: 'share-columns' },
        h('div', {}, h('h3', {}, 'Watch'), watchLines(name, link)),
        this.#publish,
        h('div', {}, h('h3', {}, 'On a phone'), phonePart(`${base()}/?stream=${name}`)),
      ),
      this.#note,
    )
  }

  /** Shows how to publish to a pipeline, once one is known; `params` are those to start with, if any. */
  show(pipeline, params) {
    if (!pipeline) return
    const shown = JSON.stringify([pipeline, params])
    if (this.#shown === shown) return
    this.#shown = shown
    this.#publish.replaceChildren(h('h3', {}, 'Publish'), ...publishLines(this.#name, pipeline, params))
    this.#note.hidden = !token()
    this.element.hidden = false
  }
}

const base = () => new URL('.', location.href).href.replace(/\/$/, '')

function watchLines(name, link) {
  return [
    copyLine('This page', `${base()}/?stream=${name}`),
    copyLine('This page with its view and params', link),
    copyLine('WHEP', `${base()}/whep/${name}`),
    copyLine('VLC, ffplay, OBS', `${base()}/out/${name}.ts`),
    copyLine('Still image', `${base()}/out/${name}.jpg`),
    copyLine('Trickle', `${base()}/trickle/${name}-out`),
  ]
}

/** `params` are those to start with, if any. */
export function publishLines(name, pipeline, params) {
  const start = params ? `&params=${encodeURIComponent(JSON.stringify(params)).replaceAll("'", '%27')}` : ''
  const query = pipeline ? `?pipeline=${pipeline}${start}` : ''
  const auth = token() ? " -headers 'Authorization: Bearer TOKEN'" : ''
  return [
    copyLine('ffmpeg', `ffmpeg -re -i video.mp4 -c copy -f mpegts${auth} '${base()}/ingest/${name}${query}'`),
    copyLine('OBS: Settings, Stream, WHIP', `${base()}/whip/${name}${query}`),
    token() && copyLine('OBS: Bearer token', 'TOKEN'),
  ].filter(Boolean)
}
