import { once } from 'node:events'
import { type AddressInfo, connect, createServer, isIP, type Server, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { RtspResponses, transportFrom } from '../../codec/rtsp.ts'
import { AppError, whyUnreachable } from '../../core/errors.ts'
import { type MediaTarget, originOf } from '../../core/url-guard.ts'
import type { RtspTap } from './rtsp-tap.ts'

/** A client that must authenticate reconnects, but not more often than this. */
const MAX_CONNECTIONS = 4
const CONNECT_MS = 10_000

/**
 * A loopback port that forwards to a media server. By itself ffmpeg would resolve the name, follow redirects anywhere,
 * and check no certificate: through the relay it reaches only the checked address.
 */
export class Relay implements AsyncDisposable {
  /** Why the server cannot be used, once known. */
  failure: AppError | undefined
  readonly #target: MediaTarget
  readonly #tap: RtspTap | undefined
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #connections = 0

  private constructor(target: MediaTarget, tap: RtspTap | undefined) {
    this.#target = target
    this.#tap = tap
    this.#server = createServer({ noDelay: true }, (near) => this.#accept(near))
  }

  /** `tap` listens if the server speaks RTSP. */
  static async open(target: MediaTarget, tap?: RtspTap): Promise<Relay> {
    const relay = new Relay(target, tap)
    const listening = once(relay.#server, 'listening')
    relay.#server.listen(0, '127.0.0.1')
    await listening
    return relay
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #accept(near: Socket): void {
    if (++this.#connections > MAX_CONNECTIONS) {
      near.destroy()
      return
    }
    const far = this.#connect()
    far.setNoDelay(true)
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      socket.once('close', () => {
        this.#sockets.delete(socket)
        near.destroySoon()
        far.destroySoon()
      })
    }
    near.on('error', () => {})
    const timer = setTimeout(() => far.destroy(new Error(`no answer within ${CONNECT_MS / 1000} s`)), CONNECT_MS)
    far.once(this.#isSecure ? 'secureConnect' : 'connect', () => clearTimeout(timer))
    far.once('close', () => clearTimeout(timer))
    far.on('error', (cause: NodeJS.ErrnoException) => {
      this.#fail(
        new AppError('peer-failed', `${this.#name}: ${whyUnreachable(cause)}`, { retryable: true, cause }),
        near,
      )
    })
    near.pipe(far)
    const tap = this.#tap
    if (tap) {
      tap.connected()
      // Reports go the same way, after a dollar sign (RFC 2326 §10.12).
      near.on('data', (chunk: Buffer) => chunk[0] !== 0x24 && tap.onRequest(chunk.toString('latin1')))
    }
    if (/^rtsps?:$/.test(this.#target.url.protocol)) far.pipe(this.#watch(near)).pipe(near)
    else far.pipe(near)
  }

  #connect(): Socket {
    const { address: host, port, url, rejectUnauthorized } = this.#target
    if (!this.#isSecure) return connect({ host, port })
    // The server name extension takes no addresses (RFC 6066 §3); the brackets are IPv6's.
    const servername = isIP(url.hostname.replace(/^\[(.*)\]$/, '$1')) ? '' : url.hostname
    return connectTls({ host, port, servername, rejectUnauthorized })
  }

  get #isSecure(): boolean {
    return /^(rtsps|rtmps):$/.test(this.#target.url.protocol)
  }

  get #name(): string {
    return originOf(this.#target.url)
  }

  /**
   * Filters an RTSP server's messages: it must not send anyone elsewhere, by a redirect or by the destination of
   * packets.
   */
  #watch(near: Socket): Transform {
    const responses = new RtspResponses((head) => {
      const { status, lines } = head
      this.#tap?.onHead(head)
      if (status !== undefined && status >= 300 && status < 400) {
        throw new AppError(
          'peer-failed',
          `${this.#name} answers with a redirect (${status}); redirects are not followed`,
        )
      }
      return lines.map((line) => transportFrom(line, this.#target.address))
    }, this.#tap)
    const watch = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        try {
          for (const part of responses.push(chunk)) watch.push(part)
          done()
        } catch (thrown) {
          this.#fail(AppError.from(thrown), near)
        }
      },
    })
    return watch
  }

  #fail(error: AppError, near: Socket): void {
    this.failure ??= error
    near.destroy()
  }
}
