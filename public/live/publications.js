import { millrace } from '../session.js'

const KEY = 'millrace-test-patterns'

/**
 * What this page publishes, by stream; publishing continues while the user looks at other streams. A test pattern runs
 * in the server and is remembered, so that this tab can restart it after a reload. Emits `change`, with `detail.state`
 * when a connection is lost or restored.
 */
class Publications extends EventTarget {
  #publishers = new Map()
  #tests = new Set(JSON.parse(sessionStorage.getItem(KEY) ?? '[]'))

  /** `camera`, `screen`, `file`, `test`, or undefined if this page does not publish the stream. */
  kindOf(name) {
    return this.#publishers.get(name)?.kind ?? (this.#tests.has(name) ? 'test' : undefined)
  }

  /** The local media that this page publishes to a stream. */
  mediaOf(name) {
    return this.#publishers.get(name)?.publisher.media
  }

  /** The file that this page plays into a stream. */
  fileOf(name) {
    return this.#publishers.get(name)?.file
  }

  /**
   * `publishing`, `starting`, or `waiting` while the connection is lost; undefined if this page does not publish the
   * stream.
   */
  stateOf(name) {
    return this.#publishers.get(name)?.publisher.state
  }

  async startTest(name, pipeline, params) {
    const before = this.#tests.has(name)
    // The stream can be watched, and stopped, before the answer is here.
    this.#remember(name, true)
    try {
      await millrace.stream(name).startTestPattern({ pipeline, params })
    } catch (error) {
      this.#remember(name, before)
      throw error
    }
  }

  /** Stops the media when its stream ends or fails to start. */
  async startMedia(kind, media, name, pipeline, params) {
    await this.#publish(name, { kind, media, pipeline, params })
  }

  /** Closes the source when its stream ends or fails to start. */
  async startFile(file, name, pipeline, params) {
    try {
      await this.#publish(name, { kind: 'file', media: file.media, file, pipeline, params })
    } catch (error) {
      file.close()
      throw error
    }
  }

  /** Reconnects a waiting publisher now. */
  retry(name) {
    this.#publishers.get(name)?.publisher.retry()
  }

  /** Called when the stream's pipeline was replaced: a publisher that reconnects asks for the new one. */
  pipelineChanged(name, pipeline, params) {
    const publisher = this.#publishers.get(name)?.publisher
    if (publisher) Object.assign(publisher, { pipeline, params })
  }

  /** Ends the stream for everyone. */
  async stop(name) {
    this.#publishers.get(name)?.publisher.close()
    this.#remember(name, false)
    try {
      await millrace.stream(name).stop()
    } catch (error) {
      if (error.status !== 404) throw error
    }
  }

  /** Called when the stream is gone, and with it the test pattern that fed it. */
  ended(name) {
    if (this.#tests.has(name)) this.#remember(name, false)
  }

  async #publish(name, { kind, media, file, pipeline, params }) {
    const publisher = await millrace.stream(name).publish(media, { pipeline, params })
    this.#publishers.set(name, { kind, publisher, file })
    publisher.on('ended', ({ error }) => {
      file?.close()
      if (this.#publishers.get(name)?.publisher === publisher) this.#publishers.delete(name)
      this.#tell({ name, error })
    })
    publisher.on('state', ({ state }) => {
      if (state !== 'closed') this.#tell({ name, state })
    })
    this.#tell({ name })
  }

  #remember(name, running) {
    if (running) this.#tests.add(name)
    else this.#tests.delete(name)
    sessionStorage.setItem(KEY, JSON.stringify([...this.#tests]))
    this.#tell({ name })
  }

  #tell(detail) {
    this.dispatchEvent(new CustomEvent('change', { detail }))
  }
}

export const publications = new Publications()
