// Consent to send on one path: RFC 7675 §5.1, and the budget that RFC 9000 §8.1 gives to paths without it.
import { randomBytes } from 'node:crypto'
import { parseBindingSuccess, writeBindingRequest } from '../../codec/stun.ts'
import { nowMs } from '../../core/clock.ts'

export type IceCredentials = { ufrag: string; password: string }

/** RFC 7675 §5.1: consent ends 30 s after the last check that was answered. */
const CONSENT_MS = 30_000
/** RFC 7675 §5.1 has checks 4 to 6 s apart. */
const RENEW_MS = 4500
/** Until the first one is answered. */
const RETRY_MS = 500
/** Without consent no more is sent than so many times the bytes that came. */
const AMPLIFICATION = 3
/** Checks that may still be answered. */
const MAX_PENDING = 8

export type PathOptions = {
  address: string
  port: number
  send(data: Buffer): void
  /** A TCP connection has proven by its handshake that the peer reads there. */
  connected: boolean
}

/**
 * An address of the peer. Media goes there while the peer answers checks of ours from there with transaction ids that
 * nobody else has seen; a check from there alone proves nothing, since its source can be forged.
 */
export class IcePath {
  readonly address: string
  readonly port: number
  /** The peer chose this path. */
  nominated = false
  readonly #options: PathOptions
  readonly #pending = new Map<string, string>()
  #consentedAt: number | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  #received = 0
  #sent = 0

  constructor(options: PathOptions) {
    this.#options = options
    this.address = options.address
    this.port = options.port
  }

  hasConsent(now = nowMs()): boolean {
    return this.#options.connected || (this.#consentedAt !== undefined && now - this.#consentedAt < CONSENT_MS)
  }

  /** Bytes came from there; those that come while there is consent leave no budget for the time after it. */
  received(bytes: number, now = nowMs()): void {
    if (!this.hasConsent(now)) this.#received += bytes
  }

  /** False when it was not sent, for want of consent. */
  send(data: Buffer, now = nowMs()): boolean {
    if (!this.hasConsent(now)) {
      if (this.#sent + data.length > AMPLIFICATION * this.#received) return false
      this.#sent += data.length
    }
    this.#options.send(data)
    return true
  }

  /** Sends a check when one is due. */
  askConsent(local: IceCredentials, remote: IceCredentials, now = nowMs()): void {
    if (this.#options.connected) return
    const waiting = this.#consentedAt === undefined || now - this.#consentedAt > 2 * RENEW_MS
    if (now - this.#askedAt < (waiting ? RETRY_MS : RENEW_MS)) return
    const transactionId = randomBytes(12)
    const username = `${remote.ufrag}:${local.ufrag}`
    if (!this.send(writeBindingRequest({ transactionId, username, password: remote.password }), now)) return
    this.#askedAt = now
    this.#pending.set(transactionId.toString('hex'), remote.password)
    if (this.#pending.size > MAX_PENDING) this.#pending.delete(this.#pending.keys().next().value!)
  }

  /** True when this is the answer to a check, which gives consent. */
  takeAnswer(data: Buffer, now = nowMs()): boolean {
    const answer = parseBindingSuccess(data)
    const key = answer?.transactionId.toString('hex') ?? ''
    const password = this.#pending.get(key)
    if (!answer || password === undefined || !answer.signedWith(password)) return false
    this.#pending.delete(key)
    this.#received = this.#sent = 0
    this.#consentedAt = now
    return true
  }
}
