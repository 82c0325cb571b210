import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'

export type LossyPathOptions = {
  /** Share of media and data packets that are lost, in each direction; 0 to 1. */
  loss: number
  /** Share of them that are delayed, and so reordered. */
  disorder?: number
  /** Their delay in milliseconds. */
  lateMs?: number
}

/** DTLS content type of records with data channel packets. */
const DTLS_DATA = 23

/** A network between a peer and a session: forwards UDP, with random loss and reordering of media and data packets. */
export class LossyPath implements AsyncDisposable {
  passed = 0
  lost = 0
  options: LossyPathOptions
  readonly #front = createSocket('udp4')
  /** One socket per address of the peer, as in a NAT. */
  readonly #backs = new Map<string, Socket>()
  #target = 0
  #random = 1

  constructor(options: LossyPathOptions) {
    this.options = options
  }

  /** Listens, and returns a function that rewrites an answer to lead here. */
  async open(): Promise<(answer: string) => string> {
    this.#front.bind(0)
    await once(this.#front, 'listening')
    this.#front.on('message', (data, from) => this.#toSession(data, from.address, from.port))
    const { port } = this.#front.address()
    return (answer) => {
      const [line, address, target] = /a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host/.exec(answer) ?? []
      if (!line || !address) throw new Error('the answer has no candidate')
      this.#target = Number(target)
      const others = answer.replace(/a=candidate:.*\r\n/g, '')
      const candidate = `a=candidate:1 1 udp 2130706431 ${address} ${port} typ host\r\n`
      return others.replace('a=end-of-candidates\r\n', `${candidate}a=end-of-candidates\r\n`)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#front.close()
    for (const back of this.#backs.values()) back.close()
    this.#backs.clear()
  }

  #toSession(data: Buffer, address: string, port: number): void {
    const key = `${address} ${port}`
    let back = this.#backs.get(key)
    if (!back) {
      back = createSocket('udp4')
      back.on('message', (answer) => this.#pass(answer, () => this.#front.send(answer, port, address)))
      back.on('error', () => {})
      this.#backs.set(key, back)
    }
    const socket = back
    this.#pass(data, () => socket.send(data, this.#target, '127.0.0.1'))
  }

  #pass(data: Buffer, send: () => void): void {
    const { loss, disorder = 0, lateMs = 15 } = this.options
    const isMedia = data[0]! >= 128 && data[0]! <= 191
    const isData = data[0] === DTLS_DATA
    if (!isMedia && !isData) send()
    else if (this.#chance() < loss) this.lost++
    else if (this.#chance() < disorder) setTimeout(() => this.#backs.size > 0 && send(), lateMs)
    else send()
    this.passed++
  }

  /** Seeded, so each run is the same. */
  #chance(): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0
    return this.#random / 2 ** 32
  }
}
