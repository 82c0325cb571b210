// The data channels of one peer, at most 16: RFC 8831, RFC 8832.
import { CHANNEL_ACK, type ChannelOpen, PAYLOAD, parseChannelOpen, writeChannelOpen } from '../../codec/sctp/dcep.ts'
import type { DtlsRole } from '../dtls/dtls.ts'
import type { AgreedData } from '../signalling/data-section.ts'
import { Association } from './association.ts'

/** The part of a peer that its data channels need. */
export type DataPath = { onData: (packet: Buffer) => void; sendData(packet: Buffer): void }

export type ChannelsOptions = {
  agreed: AgreedData
  /** Our own role. */
  role: DtlsRole
  /** Whether we start the association, with `begin`; otherwise the peer does. */
  begins?: boolean
  /** Longest message accepted. */
  maxMessageBytes: number
  /** Called with a channel that the peer opened. */
  onChannel(channel: DataChannel): void
}

const MAX_CHANNELS = 16

type Stream = { send(message: Buffer): Promise<boolean>; reset(): void }

export class DataChannel {
  readonly label: string
  /** Subprotocol; empty unless the peer names one. */
  readonly protocol: string
  /** Longest message that the peer accepts. */
  readonly maxMessageBytes: number
  onMessage: (message: Buffer) => void = () => {}
  onClosed: () => void = () => {}
  readonly #stream: Stream
  #closed = false

  constructor({ label, protocol }: ChannelOpen, maxMessageBytes: number, stream: Stream) {
    this.label = label
    this.protocol = protocol
    this.maxMessageBytes = maxMessageBytes
    this.#stream = stream
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * Resolves with true when there is room for the next message, false if no more can be sent. An empty text is skipped.
   */
  async send(text: string): Promise<boolean> {
    if (this.#closed) return false
    return text === '' || ((await this.#stream.send(Buffer.from(text))) && !this.#closed)
  }

  /** Closes it and tells the peer. */
  close(): void {
    if (!this.#closed) this.#stream.reset()
    this.end()
  }

  /** Call when its stream has ended. */
  end(): void {
    if (this.#closed) return
    this.#closed = true
    this.onClosed()
  }
}

export class DataChannels {
  readonly #options: ChannelsOptions
  readonly #association: Association
  readonly #channels = new Map<number, DataChannel>()

  constructor(path: DataPath, options: ChannelsOptions) {
    this.#options = options
    this.#association = new Association({
      sendPacket: (packet) => path.sendData(packet),
      remotePort: options.agreed.port,
      maxMessageBytes: options.maxMessageBytes,
      begins: options.begins ?? false,
      onMessage: (stream, protocol, message) => this.#receive(stream, protocol, message),
      onReset: (streams) => this.#reset(streams),
      onClosed: () => this.#reset([...this.#channels.keys()]),
    })
    path.onData = (packet) => this.#association.receive(packet)
  }

  /** Asks the peer for the association, once packets can be sent. */
  begin(): void {
    this.#association.begin()
  }

  /** Opens a channel, unless the peer's limit is reached. */
  open(label: string): DataChannel | undefined {
    // RFC 8832 §6: the DTLS client uses even streams.
    let stream = this.#options.role === 'client' ? 0 : 1
    while (this.#channels.has(stream)) stream += 2
    const channel = this.#add(stream, { label, protocol: '', ordered: true })
    if (channel) void this.#association.send(stream, PAYLOAD.control, writeChannelOpen(label))
    return channel
  }

  /** Closes all channels and tells the peer. */
  close(): void {
    this.#association.close()
  }

  #receive(stream: number, protocol: number, message: Buffer): void {
    const channel = this.#channels.get(stream)
    if (protocol === PAYLOAD.control) this.#control(stream, message)
    else if (protocol === PAYLOAD.text || protocol === PAYLOAD.binary) channel?.onMessage(message)
    else if (protocol === PAYLOAD.emptyText || protocol === PAYLOAD.emptyBinary) channel?.onMessage(Buffer.alloc(0))
  }

  #control(stream: number, message: Buffer): void {
    const open = parseChannelOpen(message)
    if (!open) return
    const isNew = !this.#channels.has(stream)
    const channel = this.#channels.get(stream) ?? this.#add(stream, open)
    if (!channel) {
      this.#association.reset(stream)
      return
    }
    void this.#association.send(stream, PAYLOAD.control, CHANNEL_ACK)
    if (isNew) this.#options.onChannel(channel)
  }

  #add(stream: number, open: ChannelOpen): DataChannel | undefined {
    if (this.#channels.size >= MAX_CHANNELS) return
    const { agreed } = this.#options
    const channel = new DataChannel(open, agreed.maxMessageBytes, {
      send: (message) => this.#association.send(stream, PAYLOAD.text, message, open.ordered),
      reset: () => this.#association.reset(stream),
    })
    this.#channels.set(stream, channel)
    return channel
  }

  #reset(streams: readonly number[]): void {
    for (const stream of streams) {
      this.#channels.get(stream)?.end()
      this.#channels.delete(stream)
    }
  }
}
