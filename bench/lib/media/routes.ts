// Routes through a server, from writing a frame to its arrival: one function each, all with the same signature.
import { TsWriter } from '../../../src/codec/mpegts/writer.ts'
import { nowMs } from '../../../src/core/clock.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { openTricklePublisher } from '../../../src/trickle/client/publisher.ts'
import { openTrickleSubscriber } from '../../../src/trickle/client/subscriber.ts'
import type { SegmentWriter } from '../../../src/trickle/publication.ts'
import { waitFor } from '../../../test/helpers/wait.ts'
import { statusOf } from '../contenders/server-contender.ts'
import { SILENT } from '../silent.ts'
import type { Flights } from './flights.ts'
import { RtcPublisher, RtcViewer } from './rtc-peer.ts'
import { TsFrames, watchTs } from './ts-frames.ts'
import { TsPublisher } from './ts-publisher.ts'
import { FRAME_TICKS } from './units.ts'

/** An open route through a server. */
export type Route = AsyncDisposable & {
  /** Sends an access unit and records it in the flights. */
  send(unit: EncodedPacket, number: number): void
  /** Call when frames flow: from then on arrivals are recorded. */
  watch(): Promise<void>
}

export type OpenRoute = (url: string, stream: string, flights: Flights) => Promise<Route>

/** MPEG-TS in one HTTP body, and out in another. */
export const ingestToOut: OpenRoute = async (url, stream, flights) => {
  const opened = new AsyncDisposableStack()
  const publisher = opened.use(new TsPublisher(`${url}/ingest/${stream}`))
  return {
    send: (unit) => {
      publisher.write(unit)
      flights.sent(unit.pts, nowMs())
    },
    watch: async () => {
      opened.use(await watchTs(`${url}/out/${stream}.ts`, (pts, at) => flights.landed(pts, at)))
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Trickle segments of one second, in and out. */
export const trickleToTrickle: OpenRoute = async (url, stream, flights) => {
  const opened = new AsyncDisposableStack()
  const to = { url: `${url}/trickle/${stream}`, mime: 'video/mp2t', create: true }
  const publication = opened.use(await openTricklePublisher(to, { log: SILENT }))
  const writer = new TsWriter()
  let segment: SegmentWriter | undefined
  return {
    send: (unit) => {
      if (unit.key) {
        segment?.close()
        segment = publication.open()
        writer.restart()
      }
      segment?.write(writer.write(unit))
      flights.sent(unit.pts, nowMs())
    },
    watch: async () => {
      const from = await openTrickleSubscriber({ url: `${url}/trickle/${stream}-out` }, { log: SILENT })
      opened.use(from)
      void (async () => {
        for await (const { bytes } of from) {
          const frames = new TsFrames((pts) => flights.landed(pts, nowMs()))
          for await (const chunk of bytes) frames.push(Buffer.from(chunk))
        }
      })().catch(() => {})
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** WHIP in, WHEP out. */
export const whipToWhep: OpenRoute = async (url, stream, flights) => {
  const opened = new AsyncDisposableStack()
  const publisher = opened.use(await RtcPublisher.open(`${url}/whip/${stream}`))
  let newest: number | undefined
  return {
    send: (unit, number) => {
      const pts = unit.pts + unevenness(number)
      void publisher.write({ ...unit, pts }).then((at) => flights.sent(pts, at))
    },
    watch: async () => {
      const onPacket = ({ timestamp, at }: { timestamp: number; at: number }) => {
        if (timestamp === newest) return
        newest = timestamp
        flights.arrived(timestamp, at)
      }
      opened.use(await RtcViewer.open(`${url}/whep/${stream}`, onPacket))
    },
    [Symbol.asyncDispose]: async () => {
      flights.resolve()
      await opened.disposeAsync()
    },
  }
}

/** RTP clocks start anywhere: frames are identified by intervals that do not repeat. At most a third of a frame. */
function unevenness(number: number): number {
  return (Math.imul(number + 1, 0x9e3779b1) >>> 0) % (FRAME_TICKS / 3)
}

/** Resolves when a server's stream outputs processed frames. */
export async function flowing(url: string, stream: string): Promise<void> {
  await waitFor(`frames of ${stream}`, async () => {
    const { egress, state } = await statusOf(url, stream)
    return egress.fps > 0 && state === 'ONLINE'
  })
}
