import { RTCDataChannel, RTCDataChannelParameters, RTCSctpTransport } from 'werift'
import { type DataChannel, DataChannels, type DataPath } from '../../../../src/webrtc/data/channels.ts'
import { waitFor } from '../../../helpers/wait.ts'

const AGREED = { index: 1, mid: '1', protocol: 'UDP/DTLS/SCTP', port: 5000, maxMessageBytes: 262_144 }
const ESTABLISHED = 4

/** The data channels of a server and a peer built on werift; `lose` drops packets between them. */
export class Link implements AsyncDisposable {
  readonly channels: DataChannel[] = []
  readonly client = new RTCSctpTransport(5000)
  readonly ours: DataChannels
  lose: (packet: Buffer) => boolean = () => false
  /** Alters packets on their way to us. */
  change: (packet: Buffer) => Buffer = (packet) => packet
  #toOurs: (packet: Buffer) => void = () => {}
  #toClient: (packet: Buffer) => void = () => {}

  constructor(onChannel: (channel: DataChannel) => void = () => {}, maxMessageBytes = 64 * 1024) {
    const link = this
    const path: DataPath = {
      set onData(take: (packet: Buffer) => void) {
        link.#toOurs = take
      },
      sendData: (packet) => this.#carry(packet, (one) => this.#toClient(one)),
    }
    const dtls = {
      id: 'peer',
      iceTransport: { role: 'controlling' },
      onStateChange: { subscribe: () => ({ unSubscribe: () => {} }) },
      set dataReceiver(take: ((packet: Buffer) => void) | undefined) {
        link.#toClient = take ?? (() => {})
      },
      sendData: async (packet: Buffer) => this.#carry(packet, (one) => this.#toOurs(this.change(one))),
    }
    this.client.setDtlsTransport(dtls as unknown as Parameters<RTCSctpTransport['setDtlsTransport']>[0])
    this.ours = new DataChannels(path, {
      agreed: AGREED,
      role: 'server',
      maxMessageBytes,
      onChannel: (channel) => {
        this.channels.push(channel)
        onChannel(channel)
      },
    })
  }

  async open(): Promise<this> {
    await this.client.start(5000)
    await waitFor('the association', () => this.client.sctp.associationState === ESTABLISHED)
    return this
  }

  /** Opens a channel from the peer, and records its messages. */
  async channel(label: string, parameters: Partial<RTCDataChannelParameters> = {}): Promise<PeerChannel> {
    const channel = new RTCDataChannel(this.client, new RTCDataChannelParameters({ label, ...parameters }))
    const received: string[] = []
    channel.onMessage.subscribe((message) => received.push(String(message)))
    await waitFor('the channel', () => channel.readyState !== 'connecting')
    return { channel, received }
  }

  /** Sends a packet with this raw chunk. */
  async sendChunk(type: number, body: Buffer): Promise<void> {
    const bytes = Buffer.alloc(4 + body.length + (-body.length & 3))
    bytes[0] = type
    bytes.writeUInt16BE(4 + body.length, 2)
    body.copy(bytes, 4)
    const { sctp } = this.client as unknown as { sctp: { sendChunk(chunk: { bytes: Buffer }): Promise<void> } }
    await sctp.sendChunk({ bytes })
    await new Promise(setImmediate)
  }

  /** Whether our end still has its association. */
  get isOpen(): boolean {
    return this.client.sctp.associationState === ESTABLISHED
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ours.close()
    await this.client.stop()
  }

  #carry(packet: Buffer, deliver: (packet: Buffer) => void): void {
    if (!this.lose(packet)) setImmediate(deliver, packet)
  }
}

/** Sets the CRC32c of the packet (RFC 9260 appendix A). */
export function withChecksum(packet: Buffer): Buffer {
  packet.writeUInt32LE(0, 8)
  let sum = 0xffffffff
  for (const byte of packet) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0x82f63b78 : sum >>> 1
  }
  packet.writeUInt32LE((sum ^ 0xffffffff) >>> 0, 8)
  return packet
}

export type PeerChannel = { channel: RTCDataChannel; received: string[] }
