// A client session with a WHIP or WHEP endpoint: RFC 9725 §4.2, draft-ietf-wish-whep §4.
import { namedStreams } from '../../codec/sdp/media.ts'
import { parseSdp, type Sdp } from '../../codec/sdp/session.ts'
import { AppError } from '../../core/errors.ts'
import type { Context } from '../../core/resource.ts'
import type { Target } from '../../core/url-guard.ts'
import type { IceSettings } from '../ice/agent.ts'
import type { Peer } from '../peer.ts'
import { type Agreement, type MediaFlow, negotiate } from '../signalling/negotiate.ts'
import { Caller } from './caller.ts'
import { askServer } from './http-request.ts'
import { namedAddresses, type OfferedSections, type OfferedStreams, withoutSilence, writeOffer } from './offer.ts'

export type Endpoint = {
  target: Target
  /** Sent as a bearer token. */
  token?: string
  /** Additional headers of the offer's request. */
  headers?: Record<string, string>
  ice: IceSettings
  /** Whether an address from the answer may be contacted. */
  reaches(address: string): boolean
  sections?: OfferedSections
  /** Closes unwanted sections of an answer (port 0); throws if a required one is missing. */
  choose?(answer: Sdp): Sdp
  /**
   * Silence of this length ends the session; must be longer than the endpoint's intervals between reports and checks.
   */
  silenceMs?: number
}

export type ClientSession = {
  agreement: Agreement
  peer: Peer
  /** Path of the session's resource, as the endpoint gave it. */
  resource: string | undefined
}

const ASK_MS = 10_000
const GOODBYE_MS = 2000

/**
 * Sends an offer and connects to the answer; `peer.connected` says whether that works. The session's resource is
 * deleted when the peer ends. Rejects with `peer-failed` and the endpoint's status, or the reason why its answer is
 * useless; with `unsupported-media` without a common codec; with `capacity` without a port.
 */
export async function openClientSession(
  endpoint: Endpoint,
  flow: MediaFlow,
  streams: OfferedStreams,
  context: Context,
): Promise<ClientSession> {
  const { target, token, ice, reaches } = endpoint
  const { origin } = new URL(target.url)
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const caller = await Caller.open(ice)
  let resource: Target | undefined
  try {
    context.signal?.throwIfAborted()
    const answer = await askServer(target, {
      method: 'POST',
      headers: { ...endpoint.headers, ...authorization, 'content-type': 'application/sdp', accept: 'application/sdp' },
      body: writeOffer(flow, caller.local, streams, endpoint.sections),
      timeoutMs: ASK_MS,
    })
    if (answer.status !== 201 && answer.status !== 200) throw refused(origin, answer.status)
    resource = resourceOf(target, answer.headers.location)
    const { agreement, addresses } = read(answer.text, flow, endpoint)
    const called = addresses.filter(({ address }) => reaches(address))
    if (called.length === 0) {
      const why = addresses.length > 0 ? 'names private addresses only' : 'names no address'
      throw new AppError('peer-failed', `${origin}: its answer ${why}`)
    }
    context.signal?.throwIfAborted()
    const peer = caller.connect(agreement.transport, called, { ...context, silenceMs: endpoint.silenceMs })
    void peer.closed.then(() => leave(resource, authorization))
    return { agreement, peer, resource: resource && new URL(resource.url).pathname }
  } catch (thrown) {
    await caller.close()
    await leave(resource, authorization)
    throw AppError.from(thrown, 'peer-failed')
  }
}

function read(text: string, flow: MediaFlow, { target, choose }: Endpoint) {
  const { origin } = new URL(target.url)
  try {
    const answer = parseSdp(text)
    const chosen = choose ? choose(withoutSilence(answer)) : withoutSilence(answer)
    const agreement = negotiate(chosen, flow)
    const named = agreement.media.flatMap(({ index }) => namedStreams(chosen.media[index]!))
    // Payload types do not distinguish sections of one kind.
    if (choose && named.length > 0) agreement.only = new Set(named)
    return { agreement, addresses: namedAddresses(answer) }
  } catch (thrown) {
    // Errors about offers also apply to answers.
    const { code, message, details } = AppError.from(thrown)
    const said = message.replace('the offer', 'its answer')
    throw new AppError(code === 'unsupported-media' ? code : 'peer-failed', `${origin}: ${said}`, {
      ...(details && { details }),
    })
  }
}

function refused(origin: string, status: number): AppError {
  const redirect = status >= 300 && status < 400
  const what = redirect ? `a redirect (${status}); redirects are not followed` : `status ${status}`
  return new AppError('peer-failed', `${origin} answers with ${what}`, { retryable: true })
}

/** The URL for deleting the session; only on the endpoint's own server. */
function resourceOf(target: Target, location: string | undefined): Target | undefined {
  const url = location === undefined ? undefined : URL.parse(location, target.url)
  if (!url || url.origin !== new URL(target.url).origin) return undefined
  const { username, password } = new URL(target.url)
  return { ...target, url: Object.assign(url, { username, password }).href }
}

async function leave(resource: Target | undefined, headers: Record<string, string>): Promise<void> {
  if (!resource) return
  // The endpoint also notices by itself that the client is gone.
  await askServer(resource, { method: 'DELETE', headers, timeoutMs: GOODBYE_MS }).catch(() => {})
}
