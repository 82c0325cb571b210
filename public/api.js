const TOKEN_KEY = 'millrace-token'

/** An answer that was not a success. `errors` are `{ path, message }` with JSON Pointers. */
export class ApiError extends Error {
  constructor(status, problem, retryAfterSeconds) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`)
    this.name = 'ApiError'
    this.status = status
    this.code = problem.code ?? ''
    this.title = problem.title ?? ''
    this.errors = problem.errors ?? []
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** No answer at all: the server is down, or the network is. */
export class Unreachable extends Error {
  constructor(cause) {
    super('the server does not answer', { cause })
    this.name = 'Unreachable'
  }
}

/** Asks the user for a token; resolves with it, or undefined when they would rather not. Set by the page. */
let askToken = async () => undefined
let asking
/** After a refusal only what the user starts asks again, not what runs by itself. */
let declined = false

export function onTokenNeeded(ask) {
  askToken = ask
}

export const token = () => sessionStorage.getItem(TOKEN_KEY) ?? undefined

export function setToken(value) {
  declined = false
  if (value) sessionStorage.setItem(TOKEN_KEY, value)
  else sessionStorage.removeItem(TOKEN_KEY)
}

const authorization = () => (token() ? { authorization: `Bearer ${token()}` } : {})

/**
 * One request with the token, whose answer is a success; after a 401 the user is asked for a token and it is made again.
 * `quiet` requests, those that nobody pressed a button for, do not ask twice, and those with `ask` false not at all.
 */
export async function send(method, path, options = {}) {
  const { body, headers = {}, signal, ask = true, quiet = false, keepalive = false } = options
  const attempt = async () => {
    try {
      return await fetch(path, { method, body, signal, keepalive, headers: { ...headers, ...authorization() } })
    } catch (cause) {
      if (signal?.aborted) throw cause
      throw new Unreachable(cause)
    }
  }
  let answer = await attempt()
  if (answer.status === 401 && ask && !(quiet && declined)) {
    asking ??= askToken(token() !== undefined).finally(() => {
      asking = undefined
    })
    const given = await asking
    if (given) {
      setToken(given)
      answer = await attempt()
    } else declined = true
  }
  if (!answer.ok) throw await errorOf(answer)
  return answer
}

async function errorOf(answer) {
  const problem = await answer.json().catch(() => ({}))
  const wait = Number(answer.headers.get('retry-after'))
  return new ApiError(answer.status, problem, Number.isFinite(wait) && wait > 0 ? wait : undefined)
}

async function json(method, path, value, options = {}) {
  const sent = value === undefined ? {} : { body: JSON.stringify(value) }
  const type = value === undefined ? {} : { 'content-type': 'application/json' }
  const answer = await send(method, path, { ...options, ...sent, headers: { ...type, ...options.headers } })
  return await answer.json()
}

const at = (name) => encodeURIComponent(name)
const query = (pipeline) => (pipeline ? `?pipeline=${at(pipeline)}` : '')

/** The server's routes that the page uses. Streams and pipelines are named by their names. */
export const api = {
  streams: (options) => json('GET', 'streams', undefined, { quiet: true, ...options }),
  status: (name, options) => json('GET', `streams/${at(name)}`, undefined, { quiet: true, ...options }),
  stop: (name) => json('DELETE', `streams/${at(name)}`),
  pipelines: (options) => json('GET', 'pipelines', undefined, { quiet: true, ...options }),
  pipeline: (name, options) => json('GET', `pipelines/${at(name)}`, undefined, { quiet: true, ...options }),
  startTestPattern: (name, pipeline) => json('POST', `test-pattern/${at(name)}${query(pipeline)}`),
  mergeParams: (name, value) => json('PATCH', `streams/${at(name)}/params`, value),
  replaceParams: (name, value) => json('PUT', `streams/${at(name)}/params`, value),
  still: async (name, options) => (await send('GET', `out/${at(name)}.jpg`, { quiet: true, ...options })).blob(),
  /** True while the server is shutting down; its answer to this is no success then. */
  isDraining: async () => {
    const answer = await fetch('ready').catch((cause) => {
      throw new Unreachable(cause)
    })
    return (await answer.json()).draining === true
  },
  whepPath: (name, view) => `whep/${at(name)}${view === 'input' ? '?view=input' : ''}`,
  whipPath: (name, pipeline) => `whip/${at(name)}${query(pipeline)}`,
  eventsPath: (name) => `streams/${at(name)}/events`,
}
