/** @import { MillraceOptions, PipelineDetails, PipelineSummary, RecordedFile, RequestOptions, SendOptions, StreamStatus } from './types.js' */
import { Requests } from './requests.js'
import { Stream } from './stream.js'

/** A Millrace server. */
export class Millrace {
  #requests

  /**
   * @param {string | URL} url of the server, with the prefix of a proxy where there is one
   * @param {MillraceOptions} [options]
   */
  constructor(url, options = {}) {
    this.#requests = new Requests(url, options)
  }

  /**
   * @param {string} name letters, digits, `_`, `.` and `-`, beginning with a letter or digit; 64 at most
   * @returns {Stream}
   */
  stream(name) {
    return new Stream(this.#requests, name)
  }

  /**
   * Lists the running streams.
   * @param {RequestOptions} [options]
   * @returns {Promise<StreamStatus[]>}
   */
  streams(options) {
    return this.#requests.json('GET', 'streams', undefined, options)
  }

  /**
   * Lists the installed pipelines.
   * @param {RequestOptions} [options]
   * @returns {Promise<PipelineSummary[]>}
   */
  pipelines(options) {
    return this.#requests.json('GET', 'pipelines', undefined, options)
  }

  /**
   * A pipeline, with the JSON Schema of its params.
   * @param {string} name
   * @param {RequestOptions} [options]
   * @returns {Promise<PipelineDetails>}
   */
  pipeline(name, options) {
    return this.#requests.json('GET', `pipelines/${encodeURIComponent(name)}`, undefined, options)
  }

  /**
   * Lists recorded files, newest first.
   * @param {RequestOptions} [options]
   * @returns {Promise<RecordedFile[]>}
   */
  recordings(options) {
    return this.#requests.json('GET', 'recordings', undefined, options)
  }

  /**
   * Sends a request to any other route of the server, with the token. Resolves with a successful response.
   * @param {string} method
   * @param {string} path relative to the server's address
   * @param {SendOptions} [options]
   * @returns {Promise<Response>}
   */
  send(method, path, options) {
    return this.#requests.send(method, path, options)
  }
}
