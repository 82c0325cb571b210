import { ApiError } from '../client/index.js'
import { confirmAction } from '../dialogs.js'
import { h, setText } from '../dom.js'
import { icon } from '../icons.js'
import { EventLog } from '../live/event-log.js'
import { publications } from '../live/publications.js'
import { StatusPanel } from '../live/status-panel.js'
import { notify } from '../notices.js'
import { ParamsPanel } from '../params/panel.js'
import { StartParams } from '../params/start-params.js'
import { RecordingsPanel } from '../recorded/panel.js'
import { millrace } from '../session.js'
import { duration, ms, sayError, stateWords } from '../words.js'
import { FileControls } from './file-controls.js'
import { LoadError } from './load-error.js'
import { addressWith, readAddress } from './page-address.js'
import { PipelineChoice } from './pipeline-choice.js'
import { PipelineSwitch } from './pipeline-switch.js'
import { SharePanel } from './share-panel.js'
import { Stage } from './stage.js'
import { takesDrops, wayButton } from './ways.js'

/** One stream: video, pipeline and params, figures and events. */
export class StreamView {
  element
  #name
  #stream
  #stage
  #params
  /** Shown while nobody publishes. */
  #required = new StartParams({ onChange: () => this.#showShare() })
  #file = new FileControls()
  #figures = new StatusPanel()
  #events = new EventLog()
  #loadError = new LoadError()
  #recordings
  #pipeline
  #switch
  #pill = h('span', { class: 'pill', role: 'status' })
  #facts = h('span', { class: 'facts' })
  #hint = h('p', { class: 'hint', hidden: true })
  #stop
  #share
  #built
  #status
  /** Params from the page's address. */
  #brought
  #remembered = false
  #stopping = false
  /** When the stream ended: answers to earlier requests are about the stream that ended. */
  #endedAt = 0
  /** When the status was asked for. */
  #askedAt = 0
  #closing = new AbortController()
  #following

  constructor(name) {
    this.#name = name
    this.#stream = millrace.stream(name)
    this.#stage = new Stage(this.#stream)
    this.#params = new ParamsPanel(this.#stream)
    this.#recordings = new RecordingsPanel(this.#stream, this.#closing.signal)
    const { pipeline, params } = readAddress()
    this.#brought = params
    this.#pipeline = new PipelineChoice({ preferred: pipeline, onChange: (chosen) => this.#chosen(chosen) })
    this.#switch = new PipelineSwitch({
      stream: this.#stream,
      choice: this.#pipeline,
      onDone: () => this.#switched(),
      signal: this.#closing.signal,
    })
    this.#share = new SharePanel(name, () => addressWith(this.#built ?? this.#pipeline.value, this.#params.changed))
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
      h('div', { class: 'show' }, this.#stage.element, this.#file.element, this.#loadError.element),
      h(
        'aside',
        { class: 'panel side', 'aria-label': 'Pipeline and params' },
        this.#pipeline.element,
        this.#required.element,
        this.#switch.element,
        this.#params.element,
      ),
      h(
        'div',
        { class: 'below' },
        this.#figures.element,
        this.#recordings.element,
        this.#share.element,
        this.#events.element,
      ),
    )
    this.#figures.element.hidden = this.#events.element.hidden = true
    this.#file.show(publications.fileOf(name))
    takesDrops(this.element, () => (this.#vacant() ? this.#wanted() : undefined))
    void this.#pipeline.load(this.#closing.signal)
    publications.addEventListener('change', ({ detail }) => this.#publicationChanged(detail), {
      signal: this.#closing.signal,
    })
    void this.#poll()
  }

  close() {
    this.#closing.abort()
    this.#file.close()
    this.#stage.close()
  }

  async #poll() {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const began = performance.now()
      try {
        const status = await this.#stream.status({ signal })
        if (isVacant(status)) this.#absent()
        // Watching now would reopen the stream.
        else if (began > this.#endedAt && !this.#stopping) this.#show(status, began)
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof ApiError && error.status === 404) this.#absent()
      }
      const view = await this.#stage.measure().catch(() => undefined)
      this.#figures.updateView(view)
      await new Promise((resolve) => setTimeout(resolve, Math.max(100, 1000 - (performance.now() - began))))
    }
  }

  #show(status, began) {
    this.#status = status
    this.#askedAt = began
    this.#required.choose(undefined)
    const { word, tone, text } = stateWords(status.state)
    this.#pill.className = `pill ${tone}`
    setText(this.#pill, word)
    this.#figures.element.hidden = this.#events.element.hidden = false
    this.#hint.hidden = !['warn', 'bad', 'idle'].includes(tone)
    this.#hint.className = `hint ${tone}`
    setText(this.#hint, [text, lastError(status)].filter(Boolean).join(' '))
    setText(this.#facts, facts(status))
    this.#stop.hidden = false
    this.#recordings.live = true
    this.#figures.update(status.state, status)
    if (began > this.#switch.doneAt) {
      this.#switch.update(status.pipeline)
      const { running } = this.#switch
      if (!running || status.pipeline === this.#built) this.#params.update(status.params ?? undefined, began)
      if (!running) this.#showPipeline(status.pipeline ?? undefined)
    }
    this.#stage.play()
    this.#stage.showInput(status.publishing !== false)
    this.#stage.chip(
      status.publishing === false || status.latencyMs.total.p50 === 0
        ? ''
        : `${status.egress.fps.toFixed(0)} fps · +${ms(status.latencyMs.total.p50)} ms`,
    )
    if (!this.#following) {
      void this.#follow()
      void this.#remember()
    }
  }

  /** Fills the charts with the server's record of the past. */
  async #remember() {
    if (this.#remembered) return
    this.#remembered = true
    try {
      this.#figures.precede(await this.#stream.history({ signal: this.#closing.signal }))
    } catch {
      // The charts then start empty.
    }
  }

  /** Shows that the stream does not exist, or no longer does. */
  #absent() {
    const had = this.#status !== undefined
    const last = { ...this.#brought, ...this.#status?.params?.value, ...this.#switch.close() }
    this.#status = undefined
    this.#required.choose(this.#pipeline.value, this.#closing.signal, last)
    if (this.#required.required) {
      // Otherwise each of them would be there twice.
      this.#params.build(undefined)
      this.#built = undefined
    }
    this.#following?.abort()
    this.#following = undefined
    if (had) publications.ended(this.#name)
    this.#stage.stop()
    this.#stage.showInput(undefined)
    this.#recordings.live = false
    const { word, tone } = stateWords(had || this.#pill.textContent === 'Ended' ? 'ENDED' : 'OFFLINE')
    this.#pill.className = `pill ${tone}`
    setText(this.#pill, word)
    setText(this.#facts, '')
    this.#hint.hidden = true
    const lost = publications.stateOf(this.#name) === 'waiting'
    this.#stop.hidden = !lost
    this.#figures.update(word === 'Ended' ? 'ENDED' : 'OFFLINE')
    this.#pipeline.disabled = false
    this.#loadError.clear()
    this.#showShare()
    if (lost) {
      this.#stage.cover(
        'lost',
        h('span', { class: 'spinner', 'aria-hidden': 'true' }),
        h('p', {}, 'The connection to the server was lost. Reconnecting…'),
      )
      return
    }
    this.#stage.cover(
      'absent',
      h('p', {}, word === 'Ended' ? 'The stream has ended.' : `Nobody is publishing to “${this.#name}” yet.`),
      h('p', { class: 'small' }, 'It plays here as soon as someone does.'),
      h(
        'div',
        { class: 'row' },
        this.#startButtons(),
        h('a', { class: 'button', href: './', 'data-internal': true }, 'All streams'),
      ),
    )
  }

  #startButtons() {
    const what = () => this.#wanted()
    return ['test', 'file', 'camera', 'screen'].map((way) => wayButton(way, way === 'test' ? 'primary' : '', what))
  }

  #wanted() {
    if (!this.#required.check()) return undefined
    const pipeline = this.#pipeline.value
    const brought = readAddress().pipeline === pipeline ? this.#brought : undefined
    const params = brought || this.#required.required ? { ...brought, ...this.#required.value } : undefined
    return { name: this.#name, pipeline, params, refused: (error) => this.#required.refuse(error) }
  }

  /** Whether a dropped file may start this stream. */
  #vacant() {
    if (this.#status === undefined || this.#status.publishing === false) return true
    notify(`“${this.#name}” already has a publisher. Stop the stream first, or drop the file on the start page.`, 'bad')
    return false
  }

  async #follow() {
    const following = new AbortController()
    this.#following = following
    const signal = AbortSignal.any([this.#closing.signal, following.signal])
    // A lasting failure, such as a missing token, is retried after the next status request.
    await this.#events.follow(this.#stream, (event) => this.#happened(event), signal).catch(() => {})
    if (this.#following === following) this.#following = undefined
  }

  #happened(event) {
    if (event.type === 'ended') this.#ended()
    if (event.type === 'recording') void this.#recordings.refresh()
    if (event.type !== 'pipeline') return
    this.#loadError.show(event)
    // The new code may have other params.
    if (event.status === 'on-air') this.#built = undefined
  }

  #ended() {
    this.#endedAt = performance.now()
    this.#stage.stop()
  }

  #showPipeline(name) {
    if (name === undefined) return
    if (!this.#switch.pending && this.#pipeline.value !== name) this.#pipeline.value = name
    if (this.#built !== name) void this.#buildParams(name)
    this.#showShare()
  }

  async #buildParams(name) {
    this.#built = name
    try {
      const details = await millrace.pipeline(name, { signal: this.#closing.signal })
      if (this.#built !== name) return
      this.#params.build(details)
      this.#params.update(this.#status?.params ?? undefined, this.#askedAt)
      const { pipeline = name } = readAddress()
      if (this.#brought && this.#status && pipeline === name) this.#params.offer(this.#brought)
      this.#brought = undefined
    } catch (error) {
      // The next status request tries again.
      this.#built = undefined
      if (error instanceof ApiError) notify(sayError(error), 'bad')
    }
  }

  /** Publishing to a running stream takes no params. */
  #showShare() {
    if (this.#status) this.#share.show(this.#status.pipeline)
    else this.#share.show(this.#pipeline.value, this.#required.shownValue)
  }

  #chosen(pipeline) {
    if (!this.#status) this.#required.choose(pipeline, this.#closing.signal)
    else if (this.#status.pipeline) void this.#switch.choose(pipeline, this.#status.pipeline)
  }

  #switched() {
    this.#built = undefined
    this.#params.hold()
  }

  async #stopStream() {
    const own = publications.kindOf(this.#name) !== undefined
    const question = 'Its publisher and all viewers will be disconnected.'
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
    this.#file.show(publications.fileOf(name))
    // Without local media, the next status says what there is to show.
    if (publications.mediaOf(name)) this.#stage.showInput(this.#status && this.#status.publishing !== false)
    else this.#stage.restInput()
    if (error) notify(sayError(error), 'bad')
    if (state === 'waiting') notify('The connection to the server was lost. Publishing resumes when it is back.')
  }
}

/** True if only other viewers wait for the stream. */
function isVacant({ state, publishing, pipeline }) {
  return state === 'OFFLINE' && !publishing && !pipeline
}

function facts({ ingest, egress, startedAt }) {
  const size = egress.height > 0 ? `${egress.width}×${egress.height}` : undefined
  const codec = ingest?.codec?.toUpperCase()
  return [size, codec, ingest?.audio?.codec?.toUpperCase(), duration(Math.max(0, Date.now() - Date.parse(startedAt)))]
    .filter(Boolean)
    .join(' · ')
}

function lastError({ state, inference }) {
  const error = inference.lastError
  if (state === 'ONLINE' || !error) return ''
  const message = typeof error === 'string' ? error : (error.message ?? '')
  return message && `Last error: ${message}`
}
