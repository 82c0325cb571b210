/** @import { MillraceOptions, SendOptions } from './types.js' */

/**
 * Statuses after which the same request may succeed: early, in conflict, too many, or a server that is full or
 * restarting.
 */
const PASSING = [408, 409, 429, 502, 503, 504]

/** An unsuccessful response of the server, as problem details (RFC 9457). */
export class ApiError extends Error {
  /**
   * @param {number} status of HTTP
   * @param {{ title?: string, detail?: string, code?: string, errors?: { path: string, message: string }[] }} problem
   * @param {number} [retryAfterSeconds]
   */
  constructor(status, problem, retryAfterSeconds) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`)
    this.name = 'ApiError'
    this.status = status
    /** Stable error code for programs; empty if the response came from something else, such as a proxy. */
    this.code = problem.code ?? ''
    /** Input errors by JSON Pointer. */
    this.errors = problem.errors ?? []
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** No response: the server or the network is down. */
export class UnreachableError extends Error {
  /** @param {unknown} cause */
  constructor(cause) {
    super('the server does not answer', { cause })
    this.name = 'UnreachableError'
  }
}

/**
 * Whether the same request may succeed later.
 * @param {unknown} error
 */
export function isPassing(error) {
  return !(error instanceof ApiError) || PASSING.includes(error.status)
}

/** Requests to one server, with its token. */
export class Requests {
  #base
  #token
  #onUnauthorized

  /**
   * @param {string | URL} base
   * @param {MillraceOptions} options
   */
  constructor(base, { token, onUnauthorized }) {
    this.#base = new URL(base)
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/'
    this.#token = typeof token === 'function' ? token : () => token
    this.#onUnauthorized = onUnauthorized
  }

  /** @param {string | URL} path relative to the server’s address */
  url(path) {
    return new URL(path, this.#base)
  }

  /**
   * Sends a request and resolves with a successful response.
   * @param {string} method
   * @param {string | URL} path
   * @param {SendOptions} [options]
   * @throws {ApiError | UnreachableError}
   */
  async send(method, path, { body, headers, signal, keepalive, background = method === 'GET' } = {}) {
    const attempt = async () => {
      const token = this.#token()
      const authorization = token ? { authorization: `Bearer ${token}` } : undefined
      try {
        const options = { method, body, signal, keepalive, headers: { ...headers, ...authorization } }
        return await fetch(this.url(path), options)
      } catch (cause) {
        if (signal?.aborted) throw cause
        throw new UnreachableError(cause)
      }
    }
    let answer = await attempt()
    if (answer.status === 401 && (await this.#onUnauthorized?.({ background }))) answer = await attempt()
    if (!answer.ok) throw await errorOf(answer)
    return answer
  }

  /**
   * Sends and receives JSON.
   * @param {string} method
   * @param {string} path
   * @param {unknown} [value]
   * @param {SendOptions} [options]
   */
  async json(method, path, value, options = {}) {
    const sent = value !== undefined && {
      body: JSON.stringify(value),
      headers: { 'content-type': 'application/json', ...options.headers },
    }
    const answer = await this.send(method, path, { ...options, ...sent })
    return await answer.json()
  }

  /** Whether the server is shutting down; its health check fails then. */
  async isDraining() {
    const answer = await fetch(this.url('ready')).catch((cause) => {
      throw new UnreachableError(cause)
    })
    return (await answer.json()).draining === true
  }
}

/** @param {Response} answer */
async function errorOf(answer) {
  const problem = await answer.json().catch(() => ({}))
  const wait = Number(answer.headers.get('retry-after'))
  return new ApiError(answer.status, problem, Number.isFinite(wait) && wait > 0 ? wait : undefined)
}
