import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { TsReader } from '../../../src/codec/mpegts/reader.ts'
import { Broadcast } from '../../../src/core/broadcast.ts'
import { nowMs } from '../../../src/core/clock.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { sleep } from '../../../src/core/resource.ts'
import { joinToken, type LiveKitConfig } from '../../../src/remote/livekit/tokens.ts'
import { openWhipSink, type WhipSink } from '../../../src/webrtc/client/whip-sink.ts'
import { type ClipOptions, makeNumberedClip } from '../media/clip.ts'

export type RoomPublisherOptions = {
  config: LiveKitConfig
  room: string
  identity: string
  /** Sent repeatedly. Use close keyframes, because a clip cannot give one on request as a camera's encoder can. */
  clip: Omit<ClipOptions, 'file'>
}

const AGAIN_MS = 500
const SILENCE_MS = 6000
const TICK_MS = 10

/** Publishes a numbered clip to a LiveKit room over WHIP, and returns when LiveKit loses it. */
export class RoomPublisher implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly #broadcast = new Broadcast(() => {})
  readonly #options: RoomPublisherOptions
  #sink: WhipSink | undefined
  #running: Promise<unknown> = Promise.resolve()

  private constructor(options: RoomPublisherOptions) {
    this.#options = options
  }

  static async open(options: RoomPublisherOptions): Promise<RoomPublisher> {
    const publisher = new RoomPublisher(options)
    const packets = await packetsOf(options.clip)
    publisher.#running = Promise.all([publisher.#feed(packets), publisher.#stay()])
    return publisher
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#sink?.close()
    await this.#running
  }

  /** Sends each packet on time, round after round. */
  async #feed(packets: readonly EncodedPacket[]): Promise<void> {
    const [first] = packets
    const roundTicks = this.#options.clip.seconds * 90_000
    const began = nowMs()
    for (let sent = 0; !this.#stop.signal.aborted; ) {
      const packet = packets[sent % packets.length]!
      const pts = packet.pts - first!.pts + Math.floor(sent / packets.length) * roundTicks
      if (pts / 90 > nowMs() - began) await sleep(TICK_MS)
      else {
        this.#broadcast.write({ ...packet, pts })
        sent++
      }
    }
  }

  async #stay(): Promise<void> {
    const { config, room, identity, clip } = this.#options
    const sections = { audio: clip.audio ? 1 : 0 }
    const { signal } = this.#stop
    for (let at = 0; !signal.aborted; at++) {
      try {
        const target = { url: `${config.urls[at % config.urls.length]}/whip/v1`, rejectUnauthorized: false }
        this.#sink = await openWhipSink(
          {
            ...{ target, ice: {}, reaches: () => true, sections, silenceMs: SILENCE_MS, requestKeyframe: () => {} },
            token: await joinToken(config, { room, identity, canPublish: true, canSubscribe: false }),
            reader: this.#broadcast.subscribe(),
          },
          { signal, log: pino({ level: 'silent' }) },
        )
        await this.#sink.closed
      } catch {
        // The next node, a little later.
      }
      await sleep(AGAIN_MS, signal).catch(() => {})
    }
  }
}

async function packetsOf(clip: RoomPublisherOptions['clip']): Promise<EncodedPacket[]> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-clip-'))
  try {
    const file = join(folder, 'clip.ts')
    await makeNumberedClip({ ...clip, file })
    const reader = new TsReader()
    return [...reader.push(await readFile(file)), ...reader.flush()].sort((a, b) => a.pts - b.pts)
  } finally {
    await rm(folder, { recursive: true })
  }
}
