import { h } from '../dom.js'
import { sentence, stateWords } from '../words.js'
import { followEvents } from './event-source.js'

const MAX_LINES = 200
const MERGED = ['params', 'viewers']

/** What happened in a stream, newest first, in words. */
export class EventLog {
  element
  #list = h('ol', { class: 'events', 'aria-label': 'Events, newest first', tabindex: '0' })
  #newest
  #empty = h('p', { class: 'muted' }, 'Nothing has happened yet. Starts, changes and failures show up here.')

  constructor() {
    this.element = h(
      'section',
      { class: 'panel', 'aria-labelledby': 'events-title' },
      h('div', { class: 'panel-head' }, h('h2', { id: 'events-title' }, 'Events')),
      this.#empty,
      this.#list,
    )
  }

  /** Follows the stream's events until the signal; `onEvent` also gets each. */
  follow(path, onEvent, signal) {
    void followEvents(
      path,
      (event) => {
        onEvent(event)
        this.add(event)
      },
      signal,
    )
  }

  add(event) {
    const words = sayEvent(event)
    if (!words) return
    this.#empty.hidden = true
    const time = new Date(event.timestamp ?? Date.now())
    const line = h(
      'li',
      { class: words.tone },
      h('time', { datetime: time.toISOString() }, time.toLocaleTimeString([], { hour12: false })),
      h('span', {}, words.text, words.detail && h('code', {}, words.detail)),
    )
    // Of many in a row, as while a slider is dragged, the last says it all.
    if (MERGED.includes(event.type) && words.tone !== 'warn' && this.#newest === event.type)
      this.#list.firstElementChild.remove()
    this.#newest = event.type
    this.#list.prepend(line)
    while (this.#list.children.length > MAX_LINES) this.#list.lastElementChild.remove()
  }
}

const SOURCES = {
  pipeline: 'The pipeline',
  decoder: 'The decoder',
  encoder: 'The encoder',
  'input-view': 'The view of the input',
  audio: 'The audio',
  ingest: 'The input',
}
const source = (name) => SOURCES[name] ?? sentence(name ?? 'Something').slice(0, -1)
const KINDS = { mpegts: 'MPEG-TS', trickle: 'trickle', whip: 'WHIP' }

/** `{ text, tone, detail? }`, or undefined for events that the page shows elsewhere. */
export function sayEvent(event) {
  switch (event.type) {
    case 'state': {
      const { word, tone, text } = stateWords(event.state)
      return { tone, text: `${word}. ${text}` }
    }
    case 'publisher': {
      const kind = KINDS[event.kind] ?? event.kind
      if (event.event === 'joined') return { tone: 'good', text: `A publisher came, over ${kind}.` }
      return { tone: 'idle', text: `The publisher left${event.reason ? ` (${event.reason})` : ''}.` }
    }
    case 'params':
      if (event.status === 'applied') return { tone: 'good', text: `Params applied, revision ${event.revision}.` }
      return { tone: 'warn', text: 'Params rejected; the old ones stay.', detail: event.error?.message }
    case 'error':
      return { tone: 'bad', text: `${source(event.source)} failed:`, detail: event.message }
    case 'restart':
      return {
        tone: 'warn',
        text: `${source(event.source)} was started again (${event.count} so far).`,
        detail: event.logs?.slice(-3).join('\n'),
      }
    case 'log':
      return { tone: event.level === 'error' ? 'bad' : 'idle', text: 'The pipeline says:', detail: event.line }
    case 'viewers':
      return { tone: 'idle', text: event.viewers === 1 ? 'One viewer watches.' : `${event.viewers} viewers watch.` }
    case 'ended':
      if (event.error) return { tone: 'bad', text: 'The stream ended:', detail: event.error.message }
      return { tone: 'idle', text: event.why === 'stopped' ? 'The stream was stopped.' : 'The stream ended.' }
    default:
      return undefined
  }
}
