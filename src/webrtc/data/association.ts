// One SCTP association over DTLS (RFC 8261), using werift, which trusts its input: packets are checked before it reads
// them.
// Bound: a peer's data is kept up to the longest message plus 64 KiB, in pieces of 256 bytes on average.
import { type RTCDtlsTransport, RTCSctpTransport } from 'werift'
import { readSctpPacket, SCTP_STREAMS } from '../../codec/sctp/packet.ts'
import { SCTP_PORT } from '../signalling/data-section.ts'

export type AssociationOptions = {
  /** Sends a packet to the peer. */
  sendPacket(packet: Buffer): void
  /** The peer's port, from `a=sctp-port`. */
  remotePort: number
  /** Whether we start the association, with `begin`; otherwise the peer does. */
  begins?: boolean
  /** Longest message accepted. */
  maxMessageBytes: number
  onMessage(stream: number, protocol: number, message: Buffer): void
  /** The peer has closed these streams, or confirmed that they are closed. */
  onReset(streams: readonly number[]): void
  onClosed(): void
}

/** In addition to the message that is being reassembled. */
const WINDOW_SLACK_BYTES = 64 * 1024
/** Packets this far ahead of a missing one are dropped and must be retransmitted. */
const MAX_AHEAD = 256
/** On average; a path carries four times as much. */
const LEAST_PIECE_BYTES = 256
/** Limit of sent and unacknowledged bytes. */
const MAX_IN_FLIGHT_BYTES = 256 * 1024
const MAX_IN_FLIGHT_PIECES = 1024

/** Private members of werift. Its version is pinned, and a test checks that they exist. */
export type SctpInside = {
  advertisedRwnd: number
  lastReceivedTsn: number | undefined
  inboundStreams: Record<number, { reassembly: readonly unknown[] }>
  outboundQueue: readonly unknown[]
  sentQueue: readonly unknown[]
  flightSize: number
  handleData(packet: Buffer): Promise<void>
}

/** Sends nothing before it is started or after its end. */
export class Association {
  readonly #options: AssociationOptions
  readonly #sctp: RTCSctpTransport['sctp']
  readonly #inside: SctpInside
  #handled: Promise<void> = Promise.resolve()
  #closed = false
  #room = Promise.withResolvers<void>()

  constructor(options: AssociationOptions) {
    this.#options = options
    const transport = new RTCSctpTransport(SCTP_PORT)
    transport.setDtlsTransport(dtlsLike(options.sendPacket))
    this.#sctp = transport.sctp
    this.#inside = this.#sctp as unknown as SctpInside
    // werift's own channels throw on unexpected input, where nobody catches it.
    this.#sctp.onReceive.allUnsubscribe()
    this.#sctp.onReconfigStreams.allUnsubscribe()
    this.#sctp.onReceive.subscribe((stream, protocol, message) => options.onMessage(stream, protocol, message))
    this.#sctp.onReconfigStreams.subscribe((streams) => options.onReset(streams))
    this.#sctp.flush.subscribe(() => this.#wake())
    this.#sctp.stateChanged.closed.subscribe(() => this.#ended())
    this.#sctp._inboundStreamsMax = SCTP_STREAMS
    this.#inside.advertisedRwnd = options.maxMessageBytes + WINDOW_SLACK_BYTES
    this.#sctp.isServer = !options.begins
    if (!options.begins) void this.#sctp.start(options.remotePort)
  }

  /** Starts the association, once packets can be sent. */
  begin(): void {
    if (!this.#closed) void this.#sctp.start(this.#options.remotePort)
  }

  /** Takes a packet of the peer. */
  receive(packet: Buffer): void {
    const read = readSctpPacket(packet)
    if (!read || this.#closed || read.sequences.some((sequence) => this.#isTooFar(sequence))) return
    // One at a time: werift awaits within a packet.
    this.#handled = this.#handled.then(async () => {
      try {
        await this.#inside.handleData(packet)
      } catch {
        // Damaged, or of another association: discarded (RFC 9260 §8.4).
      }
      if (this.#isTooMuch()) this.close()
    })
  }

  /**
   * Sends a non-empty message. Resolves with true when it is sent and there is room for another one, false if it cannot
   * be sent any more.
   */
  async send(stream: number, protocol: number, message: Buffer, ordered = true): Promise<boolean> {
    if (this.#closed) return false
    void this.#sctp.send(stream, protocol, message, { expiry: undefined, maxRetransmits: undefined, ordered })
    while (!this.#closed && !this.#hasRoom()) await this.#room.promise
    return !this.#closed
  }

  /** Closes a stream: RFC 8831 §6.7. */
  reset(stream: number): void {
    if (this.#closed || this.#sctp.reconfigQueue.includes(stream)) return
    this.#sctp.reconfigQueue.push(stream)
    void this.#sctp.transmitReconfigRequest()
  }

  /** Closes the association and tells the peer. */
  close(): void {
    if (this.#closed) return
    void this.#sctp.stop()
    this.#ended()
  }

  #ended(): void {
    if (this.#closed) return
    this.#closed = true
    this.#wake()
    this.#options.onClosed()
  }

  #wake(): void {
    this.#room.resolve()
    this.#room = Promise.withResolvers()
  }

  #hasRoom(): boolean {
    const { outboundQueue, sentQueue, flightSize } = this.#inside
    return outboundQueue.length === 0 && flightSize < MAX_IN_FLIGHT_BYTES && sentQueue.length < MAX_IN_FLIGHT_PIECES
  }

  /** Sequence numbers wrap: RFC 9260 §1.6. */
  #isTooFar(sequence: number): boolean {
    const { lastReceivedTsn } = this.#inside
    if (lastReceivedTsn === undefined) return true
    const ahead = (sequence - lastReceivedTsn) >>> 0
    return ahead > MAX_AHEAD && ahead < 2 ** 31
  }

  #isTooMuch(): boolean {
    const { advertisedRwnd, inboundStreams } = this.#inside
    if (advertisedRwnd < 0) return true
    let pieces = 0
    for (const { reassembly } of Object.values(inboundStreams)) pieces += reassembly.length
    return pieces > this.#options.maxMessageBytes / LEAST_PIECE_BYTES + MAX_AHEAD
  }
}

/** The part of werift's DTLS transport that its SCTP uses. */
function dtlsLike(sendPacket: (packet: Buffer) => void): RTCDtlsTransport {
  const like = {
    id: 'dtls',
    iceTransport: { role: 'controlled' },
    onStateChange: { subscribe: () => ({ unSubscribe: () => {} }) },
    dataReceiver: () => {},
    sendData: async (packet: Buffer) => sendPacket(packet),
  }
  return like as unknown as RTCDtlsTransport
}
