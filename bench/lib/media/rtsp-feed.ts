import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { packetizeH264 } from '../../../src/codec/rtp/h264.ts'
import { STEP_TICKS, stepOf } from './ffmpeg-feed.ts'
import type { Units } from './units.ts'

const SDP = [
  'v=0',
  'm=video 0 RTP/AVP 96',
  'a=rtpmap:96 H264/90000',
  'a=fmtp:96 packetization-mode=1',
  'a=control:video',
  '',
]
const MAX_PAYLOAD_BYTES = 1400

/** An RTSP server that gives what it is fed to whoever plays, over their connections and without any delay of its own. */
export class RtspFeed implements AsyncDisposable {
  readonly #server: Server
  readonly #playing = new Set<Socket>()
  #sequence = 0

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket) => this.#serve(socket))
  }

  static async open(port: number): Promise<RtspFeed> {
    const server = createServer({ noDelay: true }).listen(port, '127.0.0.1')
    await once(server, 'listening')
    return new RtspFeed(server)
  }

  write(units: Units, number: number): void {
    const { data } = units.at(number)
    const payloads = packetizeH264(data, MAX_PAYLOAD_BYTES)
    const packets = payloads.map((payload, i) => {
      const head = Buffer.alloc(16)
      head[0] = 0x24
      head.writeUInt16BE(12 + payload.length, 2)
      head[4] = 0x80
      head[5] = 96 | (i === payloads.length - 1 ? 0x80 : 0)
      head.writeUInt16BE(this.#sequence++ & 0xffff, 6)
      head.writeUInt32BE((stepOf(number) * STEP_TICKS) % 2 ** 32, 8)
      return Buffer.concat([head, payload])
    })
    for (const socket of this.#playing) socket.write(Buffer.concat(packets))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#playing) socket.destroy()
    await closed
  }

  #serve(socket: Socket): void {
    socket.on('error', () => {})
    socket.once('close', () => this.#playing.delete(socket))
    // A client sends each request at once; its reports begin with a dollar sign.
    socket.on('data', (chunk: Buffer) => {
      const [, method] = /^([A-Z_]+) /.exec(chunk.toString('latin1')) ?? []
      const cseq = /CSeq: *(\d+)/i.exec(chunk.toString('latin1'))?.[1]
      if (!method || cseq === undefined) return
      socket.write(answer(method, cseq))
      if (method === 'PLAY') this.#playing.add(socket)
    })
  }
}

function answer(method: string, cseq: string): string {
  const body = method === 'DESCRIBE' ? SDP.join('\r\n') : ''
  const headers: Record<string, string[]> = {
    OPTIONS: ['Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN'],
    DESCRIBE: ['Content-Type: application/sdp', `Content-Length: ${body.length}`],
    SETUP: ['Transport: RTP/AVP/TCP;unicast;interleaved=0-1', 'Session: 1'],
    PLAY: ['Session: 1'],
  }
  return `${['RTSP/1.0 200 OK', `CSeq: ${cseq}`, ...(headers[method] ?? [])].join('\r\n')}\r\n\r\n${body}`
}
