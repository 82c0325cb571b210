import { token } from '../api.js'
import { h } from '../dom.js'
import { copyLine } from '../live/copy-line.js'

/** Addresses and command lines for one stream, to copy. */
export function sharePanel(name, pipeline) {
  return h(
    'section',
    { class: 'panel', 'aria-labelledby': 'share-title' },
    h('div', { class: 'panel-head' }, h('h2', { id: 'share-title' }, 'Watch and publish elsewhere')),
    h(
      'div',
      { class: 'share-columns' },
      h('div', {}, h('h3', {}, 'Watch'), watchLines(name)),
      h('div', {}, h('h3', {}, 'Publish'), publishLines(name, pipeline)),
    ),
    token() && h('p', { class: 'muted small' }, 'This server has a token: replace TOKEN in the lines by it.'),
  )
}

const base = () => new URL('.', location.href).href.replace(/\/$/, '')

export function watchLines(name) {
  return [
    copyLine('This page', `${base()}/?stream=${name}`),
    copyLine('WHEP', `${base()}/whep/${name}`),
    copyLine('VLC, ffplay, OBS', `${base()}/out/${name}.ts`),
    copyLine('Still image', `${base()}/out/${name}.jpg`),
    copyLine('Trickle', `${base()}/trickle/${name}-out`),
  ]
}

export function publishLines(name, pipeline) {
  const query = pipeline ? `?pipeline=${pipeline}` : ''
  const auth = token() ? " -headers 'Authorization: Bearer TOKEN'" : ''
  return [
    copyLine('ffmpeg', `ffmpeg -re -i video.mp4 -c copy -f mpegts${auth} '${base()}/ingest/${name}${query}'`),
    copyLine('OBS: Settings, Stream, WHIP', `${base()}/whip/${name}${query}`),
    token() && copyLine('OBS: Bearer token', 'TOKEN'),
  ]
}
