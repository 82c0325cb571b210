import { h } from '../dom.js'
import { sentence, stateWords } from '../words.js'

const MAX_LINES = 200
const MERGED = ['params', 'viewers']

/** The stream's events in words, newest first. */
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

  /**
   * Shows the stream's events, past ones first, until the signal aborts or the stream ends; `onEvent` is called with
   * each.
   */
  async follow(stream, onEvent, signal) {
    for await (const event of stream.events({ past: true, signal })) {
      onEvent(event)
      this.add(event)
    }
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
    // Of several in a row, as while a slider is dragged, only the last is kept.
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
  'encoder-vp8': 'The encoder for viewers without H.264',
  'input-view': 'The input view',
  'input-view-vp8': 'The input view for viewers without H.264',
  audio: 'The audio',
  ingest: 'The input',
}
/** `stage` is the pipeline's name within a chain. */
const source = (name, stage) =>
  stage && name === 'pipeline' ? `The pipeline ${stage}` : (SOURCES[name] ?? sentence(name ?? 'Something').slice(0, -1))
const KINDS = { mpegts: 'MPEG-TS', trickle: 'trickle', whip: 'WHIP' }

/** `{ text, tone, detail? }`, or undefined for events shown elsewhere on the page. */
export function sayEvent(event) {
  switch (event.type) {
    case 'state': {
      const { word, tone, text } = stateWords(event.state)
      return { tone, text: `${word}. ${text}` }
    }
    case 'publisher': {
      const kind = KINDS[event.kind] ?? event.kind
      if (event.event === 'joined') return { tone: 'good', text: `Publisher connected over ${kind}.` }
      return { tone: 'idle', text: `Publisher disconnected${event.reason ? ` (${event.reason})` : ''}.` }
    }
    case 'pipeline': {
      if (event.status === 'loading') return { tone: 'idle', text: `Loading ${event.pipeline}.` }
      if (event.status === 'on-air') return { tone: 'good', text: `${event.pipeline} is on air.` }
      const text = `${event.pipeline} failed to load; the previous pipeline stays on air:`
      return { tone: 'bad', text, detail: event.error?.message }
    }
    case 'recording': {
      if (event.status === 'started') return { tone: 'good', text: `Recording of the ${event.view} started.` }
      const files = event.files?.join(', ')
      if (event.status === 'finished')
        return { tone: 'idle', text: `Recording of the ${event.view} finished:`, detail: files }
      return { tone: 'bad', text: `Recording of the ${event.view} failed:`, detail: event.error?.message }
    }
    case 'params':
      if (event.status === 'applied') return { tone: 'good', text: `Params applied, revision ${event.revision}.` }
      return { tone: 'warn', text: 'Params rejected; the previous ones stay in effect.', detail: event.error?.message }
    case 'error':
      return { tone: 'bad', text: `${source(event.source, event.stage)} failed:`, detail: event.message }
    case 'restart':
      return {
        tone: 'warn',
        text: `${source(event.source, event.stage)} was restarted (${event.count} so far).`,
        detail: event.logs?.slice(-3).join('\n'),
      }
    case 'log':
      return {
        tone: event.level === 'error' ? 'bad' : 'idle',
        text: `${source('pipeline', event.stage)} says:`,
        detail: event.line,
      }
    case 'viewers':
      return {
        tone: 'idle',
        text: event.viewers === 1 ? '1 viewer is watching.' : `${event.viewers} viewers are watching.`,
      }
    case 'ended':
      if (event.error) return { tone: 'bad', text: 'The stream ended:', detail: event.error.message }
      return { tone: 'idle', text: event.why === 'stopped' ? 'The stream was stopped.' : 'The stream ended.' }
    default:
      return undefined
  }
}
