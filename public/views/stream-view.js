import { ApiError, api } from '../api.js'
import { confirmAction } from '../dialogs.js'
import { h, setText } from '../dom.js'
import { icon } from '../icons.js'
import { EventLog } from '../live/event-log.js'
import { publications } from '../live/publications.js'
import { StatusPanel } from '../live/status-panel.js'
import { notify } from '../notices.js'
import { ParamsPanel } from '../params/panel.js'
import { duration, ms, sayError, stateWords } from '../words.js'
import { PipelineChoice } from './pipeline-choice.js'
import { sharePanel } from './share-panel.js'
import { Stage } from './stage.js'
import { wayButton } from './ways.js'

const ELSEWHERE =
  'Chosen by whoever publishes. To change it, publish again with `?pipeline=NAME` at the end of the address.'

/** One stream: its frame, its pipeline with params, its figures and events. */
export class StreamView {
  element
  #name
  #stage
  #params
  #figures = new StatusPanel()
  #events = new EventLog()
  #pipeline
  #pill = h('span', { class: 'pill', role: 'status' })
  #facts = h('span', { class: 'facts' })
  #hint = h('p', { class: 'hint', hidden: true })
  #stop
  #share = h('div', {})
  #shared
  #built
  #status
  #switching = false
  #stopping = false
  /** What was asked before this moment tells of a stream that has ended since. */
  #endedAt = 0
  #closing = new AbortController()
  #following

  constructor(name) {
    this.#name = name
    this.#stage = new Stage(name)
    this.#params = new ParamsPanel(name)
    this.#pipeline = new PipelineChoice({ onChange: (chosen) => this.#switchPipeline(chosen) })
    this.#stop = h(
      'button',
      { type: 'button', class: 'stop', onclick: () => this.#stopStream() },
      icon('stop'),
      'Stop stream',
    )
    this.element = h(
      'div',
      { class: 'stream-view' },
      h(
        'div',
        { class: 'top' },
        h('div', { class: 'title-row' }, h('h1', {}, name), this.#pill, this.#facts, this.#stop),
        this.#hint,
      ),
      h('div', { class: 'show' }, this.#stage.element),
      h(
        'aside',
        { class: 'panel side', 'aria-label': 'Pipeline and params' },
        this.#pipeline.element,
        this.#params.element,
      ),
      h('div', { class: 'below' }, this.#figures.element, this.#share, this.#events.element),
    )
    this.#figures.element.hidden = this.#events.element.hidden = true
    void this.#pipeline.load(this.#closing.signal)
    publications.addEventListener('change', ({ detail }) => this.#publicationChanged(detail), {
      signal: this.#closing.signal,
    })
    void this.#poll()
  }

  close() {
    this.#closing.abort()
    this.#stage.close()
  }

  async #poll() {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const began = performance.now()
      try {
        const status = await api.status(this.#name, { signal })
        // Watching now would open the stream anew.
        if (began > this.#endedAt && !this.#stopping) this.#show(status)
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof ApiError && error.status === 404) this.#absent()
      }
      const view = await this.#stage.measure().catch(() => undefined)
      this.#figures.updateView(view)
      await new Promise((resolve) => setTimeout(resolve, Math.max(100, 1000 - (performance.now() - began))))
    }
  }

  #show(status) {
    this.#status = status
    const { word, tone, text } = stateWords(status.state)
    this.#pill.className = `pill ${tone}`
    setText(this.#pill, word)
    this.#figures.element.hidden = this.#events.element.hidden = false
    this.#hint.hidden = !['warn', 'bad', 'idle'].includes(tone)
    this.#hint.className = `hint ${tone}`
    setText(this.#hint, [text, lastError(status)].filter(Boolean).join(' '))
    setText(this.#facts, facts(status))
    this.#stop.hidden = false
    this.#figures.update(status.state, status)
    this.#params.update(status.params ?? undefined)
    this.#showPipeline(status.pipeline ?? undefined)
    if (!this.#switching) {
      this.#stage.play()
      this.#stage.showInput(status.publishing !== false)
    }
    this.#stage.chip(
      status.publishing === false || status.latencyMs.total.p50 === 0
        ? ''
        : `${status.egress.fps.toFixed(0)} fps · +${ms(status.latencyMs.total.p50)} ms`,
    )
    if (!this.#following) this.#follow()
  }

  /** The stream is not there: not yet, or no more. */
  #absent() {
    const had = this.#status !== undefined
    this.#status = undefined
    this.#following?.abort()
    this.#following = undefined
    if (this.#switching) return
    if (had) publications.ended(this.#name)
    this.#stage.stop()
    this.#stage.showInput(undefined)
    const { word, tone } = stateWords(had || this.#pill.textContent === 'Ended' ? 'ENDED' : 'OFFLINE')
    this.#pill.className = `pill ${tone}`
    setText(this.#pill, word)
    setText(this.#facts, '')
    this.#hint.hidden = true
    const lost = publications.stateOf(this.#name) === 'waiting'
    this.#stop.hidden = !lost
    this.#figures.update(word === 'Ended' ? 'ENDED' : 'OFFLINE')
    this.#lockPipeline(false)
    this.#showShare(this.#pipeline.value)
    if (lost) {
      this.#stage.cover(
        'lost',
        h('span', { class: 'spinner', 'aria-hidden': 'true' }),
        h('p', {}, 'The connection to the server was lost. Publishing again…'),
      )
      return
    }
    this.#stage.cover(
      'absent',
      h('p', {}, word === 'Ended' ? 'The stream has ended.' : `Nobody publishes to “${this.#name}” yet.`),
      h('p', { class: 'small' }, 'It plays here as soon as somebody does.'),
      h(
        'div',
        { class: 'row' },
        this.#startButtons(),
        h('a', { class: 'button', href: './', 'data-internal': true }, 'All streams'),
      ),
    )
  }

  #startButtons() {
    const what = () => ({ name: this.#name, pipeline: this.#pipeline.value })
    return ['test', 'camera', 'screen'].map((way) => wayButton(way, way === 'test' ? 'primary' : '', what))
  }

  #follow() {
    this.#following = new AbortController()
    const signal = AbortSignal.any([this.#closing.signal, this.#following.signal])
    this.#events.follow(api.eventsPath(this.#name), (event) => event.type === 'ended' && this.#ended(), signal)
  }

  #ended() {
    this.#endedAt = performance.now()
    this.#stage.stop()
  }

  #showPipeline(name) {
    this.#lockPipeline(publications.kindOf(this.#name) === undefined)
    if (this.#switching || name === undefined) return
    if (this.#pipeline.value !== name) this.#pipeline.value = name
    if (this.#built !== name) void this.#buildParams(name)
    this.#showShare(name)
  }

  #lockPipeline(locked) {
    this.#pipeline.disabled = locked || this.#switching
    this.#pipeline.explain(locked ? ELSEWHERE : undefined)
  }

  async #buildParams(name) {
    this.#built = name
    try {
      const details = await api.pipeline(name, { signal: this.#closing.signal })
      if (this.#built !== name) return
      this.#params.build(details)
      this.#params.update(this.#status?.params ?? undefined)
    } catch (error) {
      // The next look at the status tries again.
      this.#built = undefined
      if (error instanceof ApiError) notify(sayError(error), 'bad')
    }
  }

  #showShare(pipeline) {
    if (this.#shared === pipeline) return
    this.#shared = pipeline
    this.#share.replaceChildren(sharePanel(this.#name, pipeline))
  }

  async #switchPipeline(chosen) {
    if (!this.#status) return
    this.#switching = true
    // A viewer who comes back too early would open the stream before its publisher does.
    this.#stage.stop()
    this.#lockPipeline(false)
    this.#stage.cover(
      'switching',
      h('span', { class: 'spinner', 'aria-hidden': 'true' }),
      h('p', {}, `Starting again with ${chosen}…`),
    )
    try {
      await publications.switchPipeline(this.#name, chosen)
    } catch (error) {
      notify(sayError(error), 'bad')
      this.#stage.cover(undefined)
    } finally {
      this.#switching = false
    }
  }

  async #stopStream() {
    const own = publications.kindOf(this.#name) !== undefined
    const question = 'Everyone who watches or publishes it is disconnected.'
    if (!own && !(await confirmAction(`Stop “${this.#name}”?`, question, 'Stop stream'))) return
    this.#stop.disabled = this.#stopping = true
    this.#stage.stop()
    try {
      await publications.stop(this.#name)
      this.#endedAt = performance.now()
    } catch (error) {
      notify(sayError(error), 'bad')
    } finally {
      this.#stop.disabled = this.#stopping = false
    }
  }

  #publicationChanged({ name, error, state }) {
    if (name !== this.#name) return
    // Without local media the next look at the status tells what there is to see.
    if (publications.mediaOf(name)) this.#stage.showInput(this.#status && this.#status.publishing !== false)
    else this.#stage.restInput()
    if (error) notify(sayError(error), 'bad')
    if (state === 'waiting') notify('The connection to the server was lost. Publishing again as soon as it is back.')
  }
}

function facts({ ingest, egress, startedAt }) {
  const size = egress.height > 0 ? `${egress.width}×${egress.height}` : undefined
  const codec = ingest?.codec?.toUpperCase()
  return [size, codec, ingest?.audio?.codec?.toUpperCase(), duration(Date.now() - Date.parse(startedAt))]
    .filter(Boolean)
    .join(' · ')
}

function lastError({ state, inference }) {
  const error = inference.lastError
  if (state === 'ONLINE' || !error) return ''
  const message = typeof error === 'string' ? error : (error.message ?? '')
  return message && `Last error: ${message}`
}
