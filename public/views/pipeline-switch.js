import { h, setText } from '../dom.js'
import { publications } from '../live/publications.js'
import { notify } from '../notices.js'
import { StartParams } from '../params/start-params.js'
import { sayError } from '../words.js'

/**
 * Switches a running stream to another pipeline, after asking for the params that it requires. The previous pipeline
 * stays on air until the new one is, or for good if that fails.
 */
export class PipelineSwitch {
  element
  /** When the pipeline was last replaced: answers to earlier requests are about the one before. */
  doneAt = 0
  #stream
  #choice
  #onDone
  #signal
  #chosen
  #onAir
  #running = false
  #staysOnAir = h('p', { class: 'help' })
  #confirm = h('button', { type: 'button', class: 'primary', onclick: () => this.#confirmed() }, 'Switch pipeline')
  #cancel = h('button', { type: 'button', onclick: () => this.#stay() }, 'Cancel')
  #params = new StartParams({
    missing: 'Required to switch the pipeline.',
    note: this.#staysOnAir,
    actions: h('div', { class: 'row' }, this.#confirm, this.#cancel),
  })

  /** `stream` is the client's `Stream`, and `choice` the `PipelineChoice`; `onDone()` is called after each switch. */
  constructor({ stream, choice, onDone, signal }) {
    this.#stream = stream
    this.#choice = choice
    this.#onDone = onDone
    this.#signal = signal
    this.element = this.#params.element
    this.element.classList.add('switch')
  }

  /** True from the choice of a pipeline until it is on air, or the switch failed or was cancelled. */
  get pending() {
    return this.#chosen !== undefined
  }

  /** True while the server switches. */
  get running() {
    return this.#running
  }

  /** Called with the user's choice and the pipeline on air. */
  async choose(chosen, onAir) {
    this.#chosen = chosen
    this.#show(onAir)
    if (chosen === onAir) return this.close()
    this.#explain()
    await this.#params.choose(chosen, this.#signal)
    if (this.#chosen !== chosen || this.#running || this.#signal.aborted) return
    if (this.#params.required) this.#choice.explain(undefined)
    else await this.#run()
  }

  /** Called with the pipeline on air, which another client may have switched. */
  update(onAir) {
    if (!onAir || !this.pending || this.#running) return
    this.#show(onAir)
    if (this.#chosen !== onAir) return
    this.close()
    notify(`Another client has switched the stream to ${onAir}.`)
  }

  /** Ends the choice. Returns the params given for it, if any. */
  close() {
    if (!this.pending) return undefined
    const { value } = this.#params
    const focused = this.element.contains(document.activeElement)
    this.#chosen = undefined
    this.#choice.explain(undefined)
    this.#params.choose(undefined)
    if (focused) this.#choice.focus()
    return value
  }

  #show(onAir) {
    this.#onAir = onAir
    setText(this.#staysOnAir, `Until you switch, ${onAir} stays on air, with the params below.`)
  }

  #explain() {
    this.#choice.explain(`Loading ${this.#chosen}. ${this.#onAir} stays on air until it is ready.`)
  }

  #stay() {
    if (!this.pending) return
    this.#choice.value = this.#onAir
    this.close()
  }

  #confirmed() {
    if (!this.#running && this.#params.check()) void this.#run()
  }

  async #run() {
    const chosen = this.#chosen
    const { value, required } = this.#params
    this.#mark(true)
    try {
      await this.#stream.replacePipeline(chosen, value).finally(() => this.#mark(false))
      this.doneAt = performance.now()
      publications.pipelineChanged(this.#stream.name, chosen, value)
      this.close()
      this.#onDone()
    } catch (error) {
      if (!(await this.#params.refuse(error))) notify(sayError(error), 'bad')
      if (!required) this.#stay()
    }
  }

  #mark(running) {
    this.#running = running
    this.#choice.disabled = this.#cancel.disabled = this.#params.inert = running
    if (running) {
      this.#explain()
      this.#confirm.setAttribute('aria-busy', 'true')
    } else {
      this.#choice.explain(undefined)
      this.#confirm.removeAttribute('aria-busy')
    }
  }
}
