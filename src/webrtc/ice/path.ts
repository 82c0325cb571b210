// Consent to send on one path: RFC 7675 §5.1; and the budget that RFC 9000 §8.1 gives to unvalidated paths.
import { randomBytes } from 'node:crypto'
import { parseBindingSuccess, writeBindingRequest } from '../../codec/stun.ts'
import { nowMs } from '../../core/clock.ts'
import type { PacketBatch } from '../native/packet-batch.ts'

export type IceCredentials = { ufrag: string; password: string }

/** RFC 7675 §5.1: consent ends 30 s after the last answered check. */
const CONSENT_MS = 30_000
/** RFC 7675 §5.1: checks are 4 to 6 s apart. */
const RENEW_MS = 4500
/** Until the first check is answered. */
const RETRY_MS = 500
/** Until the peer has confirmed the nomination. */
const NOMINATE_MS = 50
/** Without consent, no more is sent than this multiple of the bytes received. */
const AMPLIFICATION = 3
/** Limit of unanswered checks. */
const MAX_PENDING = 8

export type PathOptions = {
  address: string
  port: number
  send(data: Buffer): void
  /** Set if many packets can be sent cheaper than one by one. */
  sendBatch?(batch: PacketBatch): void
  /** A TCP connection: its handshake has proved that the peer receives there. */
  connected: boolean
  /** Named by the peer, which expects checks there: these need no budget. */
  called?: boolean
}

/** For the controlling side; the other side only asks for consent. */
export type Leading = { nominates: boolean }

/**
 * An address of the peer. Media is sent there while the peer answers our checks from there, with transaction ids that
 * nobody else has seen. Receiving a check from there proves nothing, because its source can be forged.
 */
export class IcePath {
  readonly address: string
  readonly port: number
  /** The controlling side nominated this path. */
  nominated = false
  readonly #options: PathOptions
  readonly #pending = new Map<string, { password: string; nominates: boolean }>()
  #consentedAt: number | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  /** Whether the last check nominated. */
  #nominating = false
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

  /** Call for received bytes; those that come while there is consent add nothing to the budget without it. */
  received(bytes: number, now = nowMs()): void {
    if (!this.hasConsent(now)) this.#received += bytes
  }

  /** False if it was not sent for lack of consent. */
  send(data: Buffer, now = nowMs()): boolean {
    if (!this.hasConsent(now)) {
      if (this.#sent + data.length > AMPLIFICATION * this.#received) return false
      this.#sent += data.length
    }
    this.#options.send(data)
    return true
  }

  sendBatch(batch: PacketBatch, now = nowMs()): void {
    if (this.#options.sendBatch && this.hasConsent(now)) this.#options.sendBatch(batch)
    else for (let i = 0; i < batch.count; i++) this.send(batch.copyOf(i), now)
  }

  /** Sends a check if one is due. */
  askConsent(local: IceCredentials, remote: IceCredentials, now = nowMs(), leading?: Leading): void {
    if (this.#options.connected) return
    const nominates = leading?.nominates ?? false
    const waiting = this.#consentedAt === undefined || now - this.#consentedAt > 2 * RENEW_MS
    const pause = nominates && !this.nominated ? NOMINATE_MS : waiting ? RETRY_MS : RENEW_MS
    // The first check that nominates follows the answer to a plain one at once.
    const begins = nominates && !this.#nominating
    if (!begins && now - this.#askedAt < pause) return
    const transactionId = randomBytes(12)
    const username = `${remote.ufrag}:${local.ufrag}`
    const { password } = remote
    const check = writeBindingRequest({ transactionId, username, password, leads: leading !== undefined, nominates })
    if (this.#options.called) this.#options.send(check)
    else if (!this.send(check, now)) return
    this.#askedAt = now
    this.#nominating = nominates
    this.#pending.set(transactionId.toString('hex'), { password, nominates })
    if (this.#pending.size > MAX_PENDING) this.#pending.delete(this.#pending.keys().next().value!)
  }

  /** True if this answers a check, which gives consent. */
  takeAnswer(data: Buffer, now = nowMs()): boolean {
    const answer = parseBindingSuccess(data)
    const key = answer?.transactionId.toString('hex') ?? ''
    const asked = this.#pending.get(key)
    if (!answer || !asked?.password || !answer.signedWith(asked.password)) return false
    this.#pending.delete(key)
    if (asked.nominates) this.nominated = true
    this.#received = this.#sent = 0
    this.#consentedAt = now
    return true
  }
}
