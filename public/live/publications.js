import { api } from '../api.js'
import { WhipPublisher } from './whip-publisher.js'

const KEY = 'millrace-test-patterns'

/**
 * What this page publishes, by stream: it goes on while the user looks at other streams. A test pattern runs in the
 * server and is remembered, so that this tab can also restart it after a reload. Tells `change`, with `detail.state` when
 * a connection was lost or made again.
 */
class Publications extends EventTarget {
  #publishers = new Map()
  #tests = new Set(JSON.parse(sessionStorage.getItem(KEY) ?? '[]'))

  /** `camera`, `screen`, `test`, or undefined when someone else publishes. */
  kindOf(name) {
    return this.#publishers.get(name)?.kind ?? (this.#tests.has(name) ? 'test' : undefined)
  }

  /** The local media of a stream that is published from here. */
  mediaOf(name) {
    return this.#publishers.get(name)?.publisher.media
  }

  /** `publishing`, `starting`, or `waiting` while its connection is lost; undefined for what does not come from here. */
  stateOf(name) {
    return this.#publishers.get(name)?.publisher.state
  }

  async startTest(name, pipeline) {
    await api.startTestPattern(name, pipeline)
    this.#remember(name, true)
  }

  async startMedia(name, pipeline, kind, media) {
    await this.#publish(name, pipeline, kind, media)
  }

  /** Connects a publisher that waits now. */
  retry(name) {
    this.#publishers.get(name)?.publisher.retry()
  }

  /** The same source again, into another pipeline: the stream ends and begins anew. */
  async switchPipeline(name, pipeline) {
    const kind = this.kindOf(name)
    // The camera stays on, so that the user is not asked for it again.
    const media = this.mediaOf(name)?.clone()
    await this.stop(name)
    if (kind === 'test') await this.startTest(name, pipeline)
    else if (media) await this.#publish(name, pipeline, kind, media)
  }

  /** Ends the stream for everyone. */
  async stop(name) {
    this.#publishers.get(name)?.publisher.close()
    this.#remember(name, false)
    await api.stop(name).catch((error) => {
      if (error.status !== 404) throw error
    })
  }

  /** The stream is gone: so is a test pattern that fed it. */
  ended(name) {
    if (this.#tests.has(name)) this.#remember(name, false)
  }

  async #publish(name, pipeline, kind, media) {
    const publisher = new WhipPublisher(media)
    await publisher.start(name, pipeline)
    this.#publishers.set(name, { kind, publisher })
    publisher.addEventListener('ended', ({ detail }) => {
      if (this.#publishers.get(name)?.publisher === publisher) this.#publishers.delete(name)
      this.dispatchEvent(new CustomEvent('change', { detail: { name, error: detail.error } }))
    })
    publisher.addEventListener('state', ({ detail: { state } }) => {
      this.dispatchEvent(new CustomEvent('change', { detail: { name, state } }))
    })
    this.dispatchEvent(new CustomEvent('change', { detail: { name } }))
  }

  #remember(name, running) {
    if (running) this.#tests.add(name)
    else this.#tests.delete(name)
    sessionStorage.setItem(KEY, JSON.stringify([...this.#tests]))
    this.dispatchEvent(new CustomEvent('change', { detail: { name } }))
  }
}

export const publications = new Publications()
