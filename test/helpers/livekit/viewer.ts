import { attributeValues, type Sdp } from '../../../src/codec/sdp/session.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { tsStream } from '../../../src/mpegts/sink.ts'
import { openWhepSource } from '../../../src/webrtc/client/whep-source.ts'
import { LogCollector } from '../server/logs.ts'
import { waitFor } from '../wait.ts'
import type { LiveKitServer } from './server.ts'

export type RoomViewer = AsyncDisposable & {
  readonly packets: readonly EncodedPacket[]
  /** Everything received so far, as MPEG-TS. */
  bytes(): Buffer
}

/** Watches what one participant of a room publishes. */
export async function watchRoom(livekit: LiveKitServer, room: string, publisher: string): Promise<RoomViewer> {
  const tracks = await waitFor(`video of ${publisher}`, () => {
    const published = livekit.rooms.get(room)?.participants.get(publisher)?.tracks ?? []
    return published.some(({ type }) => type === 'VIDEO') && published
  })
  const isTheirs = (value: string) => tracks.some(({ sid }) => value.endsWith(sid))
  const target = { url: `${livekit.url}/whip/v1`, rejectUnauthorized: true }
  const token = await livekit.token(`viewer-${Math.random()}`, { room, canPublish: false })
  const choose = (answer: Sdp) => ({
    ...answer,
    media: answer.media.map((one) => (attributeValues(one, 'msid').some(isTheirs) ? one : { ...one, port: 0 })),
  })
  const options = { target, token, ice: {}, reaches: () => true, sections: { video: 4, audio: 4 }, choose }
  const source = await openWhepSource(options, { log: new LogCollector().log })
  const packets: EncodedPacket[] = []
  const chunks: Uint8Array[] = []
  async function* noted() {
    for await (const packet of source.packets) {
      packets.push(packet)
      yield packet
    }
  }
  const done = (async () => {
    for await (const chunk of tsStream(noted())) chunks.push(chunk)
  })()
  return {
    packets,
    bytes: () => Buffer.concat(chunks),
    [Symbol.asyncDispose]: async () => {
      await source.close()
      await done
    },
  }
}
