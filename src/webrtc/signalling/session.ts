// The HTTP side of WHIP and WHEP sessions: RFC 9725 §4.3.
import { randomBytes } from 'node:crypto'
import { parseSdpFragment, writeSdpFragment } from '../../codec/sdp/fragment.ts'
import type { Resource } from '../../core/resource.ts'
import type { Peer } from '../peer.ts'
import type { Agreement } from './negotiate.ts'

/** What the HTTP routes need of a session. */
export interface SignalledSession extends Resource {
  /** A secret of 128 bits that names the session in its URL. */
  readonly id: string
  /** Resolves when media can flow; rejects with `peer-failed` or `timeout`, which then also end the session. */
  readonly connected: Promise<void>
  /** The SDP answer. */
  readonly answer: string
  /** Strong entity tag of the ICE session; changes when ICE restarts. */
  readonly etag: string
  /**
   * Takes an SDP fragment with more candidates or new ICE credentials. New credentials restart ICE and are answered by
   * our own fragment. Throws `invalid-request`.
   */
  patch(fragment: string): { restarted: string | undefined }
}

/** The part of a session that a fragment changes. */
export class IceSignalling {
  readonly id = randomBytes(16).toString('base64url')
  etag = newTag()
  readonly #agreement: Agreement
  readonly #peer: Peer
  #remoteUfrag: string

  constructor(agreement: Agreement, peer: Peer) {
    this.#agreement = agreement
    this.#peer = peer
    this.#remoteUfrag = agreement.transport.ufrag
  }

  patch(text: string): { restarted: string | undefined } {
    const { ufrag, password } = parseSdpFragment(text)
    // An agent that only answers checks needs no candidates of the peer (RFC 8445 §6.1.1).
    if (ufrag === undefined || password === undefined || ufrag === this.#remoteUfrag) return { restarted: undefined }
    this.#peer.restart({ ufrag, password })
    this.#remoteUfrag = ufrag
    this.etag = newTag()
    const { kind, mid, codecs } = this.#agreement.media[0]!
    return { restarted: writeSdpFragment(this.#peer.local, { kind, mid, format: codecs[0]!.payloadType }) }
  }
}

const newTag = () => `"${randomBytes(8).toString('base64url')}"`
