/** @import { Requests } from './requests.js' */
/**
 * @import { DataMessage, EventsOptions, Params, ParamsAnswer, PlayOptions, PublishOptions, Recording, RequestOptions, StartOptions,
 *   StreamEvent, StreamHistory, StreamStatus, View } from './types.js'
 */
import { Player } from './player.js'
import { Publisher, startQuery } from './publisher.js'
import { ApiError } from './requests.js'
import { followEvents } from './server-events.js'

/**
 * One stream of a server, by name; it need not exist yet. Made by `millrace.stream(name)`. Its methods reject with
 * `ApiError`, which has the server's message, or with `UnreachableError`.
 */
export class Stream {
  #requests
  #path

  /**
   * @param {Requests} requests
   * @param {string} name
   */
  constructor(requests, name) {
    this.#requests = requests
    this.name = name
    this.#path = `streams/${encodeURIComponent(name)}`
  }

  /**
   * Publishes a camera, a screen, a canvas or any other media. Resolves when media flows.
   * @param {MediaStream} media
   * @param {PublishOptions} [options]
   * @returns {Promise<Publisher>}
   */
  publish(media, options = {}) {
    return Publisher.open(this, this.#requests, media, options)
  }

  /**
   * Plays the stream into an element until the player is closed. Without a click, browsers play only muted elements.
   * @param {HTMLVideoElement} video
   * @param {PlayOptions} [options]
   * @returns {Player}
   */
  play(video, options = {}) {
    return new Player(this, this.#requests, video, options)
  }

  /**
   * @param {RequestOptions} [options]
   * @returns {Promise<ParamsAnswer>}
   */
  params(options) {
    return this.#requests.json('GET', `${this.#path}/params`, undefined, options)
  }

  /**
   * Changes some params by merge patch (RFC 7396); null removes a value. Resolves when they are applied. Rejects with
   * an `ApiError` whose `errors` name each invalid field; then nothing has changed.
   * @param {Params} changes
   * @param {RequestOptions} [options]
   * @returns {Promise<ParamsAnswer>}
   */
  mergeParams(changes, options) {
    return this.#requests.json('PATCH', `${this.#path}/params`, changes, options)
  }

  /**
   * Sets all params; absent ones return to their defaults.
   * @param {Params} params
   * @param {RequestOptions} [options]
   * @returns {Promise<ParamsAnswer>}
   */
  replaceParams(params, options) {
    return this.#requests.json('PUT', `${this.#path}/params`, params, options)
  }

  /**
   * Puts another pipeline on air; the current one plays until the new one's first frame is out. Without `params` the
   * new one starts with its own defaults.
   * @param {string} pipeline
   * @param {Params} [params]
   * @param {RequestOptions} [options]
   * @returns {Promise<ParamsAnswer>}
   */
  replacePipeline(pipeline, params, options) {
    return this.#requests.json('PUT', `${this.#path}/pipeline`, { pipeline, params }, options)
  }

  /**
   * The stream's events, until it ends. After a lost connection it reconnects and misses no event. Messages of the
   * pipeline are in `data()`.
   * @param {EventsOptions} [options]
   * @returns {AsyncGenerator<StreamEvent, void, undefined>}
   */
  async *events(options = {}) {
    for await (const event of followEvents(this.#requests, `${this.#path}/events`, options)) {
      if (event.type !== 'data') yield event
    }
  }

  /**
   * Messages that the pipeline sends with the video, from now until the stream ends.
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {AsyncGenerator<DataMessage, void, undefined>}
   */
  async *data(options = {}) {
    for await (const { type, ...message } of followEvents(this.#requests, `${this.#path}/events`, options)) {
      if (type === 'data') yield message
    }
  }

  /**
   * @param {RequestOptions} [options]
   * @returns {Promise<StreamStatus>}
   */
  status(options) {
    return this.#requests.json('GET', this.#path, undefined, options)
  }

  /**
   * @param {RequestOptions} [options]
   * @returns {Promise<StreamHistory>}
   */
  history(options) {
    return this.#requests.json('GET', `${this.#path}/history`, undefined, options)
  }

  /**
   * The newest frame as JPEG.
   * @param {RequestOptions} [options]
   * @returns {Promise<Blob>}
   */
  async still(options) {
    const answer = await this.#requests.send('GET', `out/${encodeURIComponent(this.name)}.jpg`, options)
    return await answer.blob()
  }

  /**
   * Records the stream on the server, until `stopRecording` or its end.
   * @param {{ view?: View }} [options] default: the output
   * @returns {Promise<Recording>}
   */
  startRecording({ view = 'output' } = {}) {
    return this.#requests.json('POST', `${this.#path}/recordings`, { view })
  }

  /**
   * Resolves when the recording's files are complete.
   * @param {string} id
   * @returns {Promise<Recording>}
   */
  stopRecording(id) {
    return this.#requests.json('DELETE', `${this.#path}/recordings/${encodeURIComponent(id)}`)
  }

  /**
   * Running and recently ended recordings, oldest first.
   * @param {RequestOptions} [options]
   * @returns {Promise<Recording[]>}
   */
  recordings(options) {
    return this.#requests.json('GET', `${this.#path}/recordings`, undefined, options)
  }

  /**
   * Makes the server publish its test pattern.
   * @param {StartOptions} [options]
   * @returns {Promise<void>}
   */
  async startTestPattern(options = {}) {
    await this.#requests.send('POST', `test-pattern/${encodeURIComponent(this.name)}${startQuery(options)}`)
  }

  /**
   * Ends the stream for everyone.
   * @returns {Promise<void>}
   */
  async stop() {
    await this.#requests.send('DELETE', this.#path)
  }

  /**
   * Whether the stream was stopped, rather than its server shutting down.
   * @returns {Promise<boolean>}
   */
  async isGone() {
    try {
      await this.status()
      return false
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error
      return !(await this.#requests.isDraining())
    }
  }
}
