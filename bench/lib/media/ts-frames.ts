// ISO/IEC 13818-1 §2.4.3: finds frame starts in an incoming transport stream.
import type { IncomingMessage } from 'node:http'
import { request } from 'node:http'
import { nowMs } from '../../../src/core/clock.ts'

const PACKET_BYTES = 188

/** Reports the presentation time of each frame when its first transport packet has come. */
export class TsFrames {
  readonly #onFrame: (pts: number) => void
  #rest: Buffer = Buffer.alloc(0)

  constructor(onFrame: (pts: number) => void) {
    this.#onFrame = onFrame
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    let at = 0
    for (; at + PACKET_BYTES <= bytes.length; at += PACKET_BYTES) {
      if (bytes[at] !== 0x47) throw new Error('the transport stream is out of step')
      const pts = frameTime(bytes.subarray(at, at + PACKET_BYTES))
      if (pts !== undefined) this.#onFrame(pts)
    }
    this.#rest = Buffer.from(bytes.subarray(at))
  }
}

/** Time of a packet in which a video PES packet begins (§2.4.3.6), in 90 kHz ticks of 33 bits. */
function frameTime(packet: Buffer): number | undefined {
  const startsUnit = (packet[1]! & 0x40) !== 0
  const hasPayload = (packet[3]! & 0x10) !== 0
  if (!startsUnit || !hasPayload) return undefined
  const payload = packet.subarray((packet[3]! & 0x20) === 0 ? 4 : 5 + packet[4]!)
  const isVideo = payload.length >= 14 && payload.readUIntBE(0, 3) === 1 && (payload[3]! & 0xf0) === 0xe0
  if (!isVideo || (payload[7]! & 0x80) === 0) return undefined
  const high = (payload[9]! >> 1) & 7
  return high * 2 ** 30 + ((payload.readUInt16BE(10) >> 1) << 15) + (payload.readUInt16BE(12) >> 1)
}

export type Watch = AsyncDisposable & {
  /** Number of frames so far. */
  readonly frames: number
  stop(): void
}

/** Reads an endless transport stream; `onFrame` gets each frame's time and the arrival of its first bytes. */
export async function watchTs(url: string, onFrame: (pts: number, at: number) => void): Promise<Watch> {
  let count = 0
  let arrived = 0
  const frames = new TsFrames((pts) => {
    count++
    onFrame(pts, arrived)
  })
  const outgoing = request(url, { agent: false })
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('error', reject)
    outgoing.once('response', resolve)
    outgoing.end()
  })
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}`)
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  response.on('data', (chunk: Buffer) => {
    arrived = nowMs()
    frames.push(chunk)
  })
  response.on('error', () => {})
  response.once('close', end)
  outgoing.on('error', () => {})
  const stop = () => outgoing.destroy()
  return {
    get frames() {
      return count
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      stop()
      await ended
    },
  }
}
