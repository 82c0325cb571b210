import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  GenericNack,
  ReceiverEstimatedMaxBitrate,
  RtcpPayloadSpecificFeedback,
  RtcpTransportLayerFeedback,
} from 'werift'
import { nalUnits } from '../../src/codec/annexb.ts'
import { http } from '../helpers/server/http.ts'
import { type Stage, setStage } from '../helpers/server/stage.ts'
import { waitFor } from '../helpers/wait.ts'
import { WeriftViewer } from '../process/webrtc/support/viewer.ts'

/** In kbit/s. */
const FULL = 2000

let stage: Stage
beforeAll(async () => {
  stage = await setStage({
    env: { MAX_SESSIONS_PER_MINUTE: '0', VIDEO_BITRATE_KBPS: String(FULL), UDP_PORT: '0', KEYFRAME_SECONDS: '2' },
  })
  const answer = await http('POST', `${stage.url}/test-pattern/demo`, { body: {} })
  expect(answer.status).toBe(201)
  await stage.waitForStatus('demo', 'frames', ({ egress }) => egress.fps > 5)
})
afterAll(() => stage?.[Symbol.asyncDispose]())

type Watching = WeriftViewer & { session?: string }

async function watch(): Promise<Watching> {
  const viewer: Watching = new WeriftViewer()
  const answer = await http('POST', `${stage.url}/whep/demo`, {
    headers: { 'content-type': 'application/sdp' },
    body: await viewer.offer(),
  })
  expect(answer.status).toBe(201)
  viewer.session = new URL(answer.headers.location!, `${stage.url}/whep/demo`).href
  await viewer.accept(answer.text)
  await waitFor('frames', () => viewer.units.length > 10)
  return viewer
}

const egress = async () => (await stage.status('demo')).egress
const ssrcOf = (viewer: WeriftViewer) => viewer.videoPackets[0]!.header.ssrc

async function miss(viewer: WeriftViewer, lost: number[]): Promise<void> {
  const feedback = new GenericNack({ senderSsrc: 1, mediaSourceSsrc: ssrcOf(viewer), lost })
  await viewer.peer.dtlsTransports[0]!.sendRtcp([new RtcpTransportLayerFeedback({ feedback })])
}

it('a packet is retransmitted at most four times, and the status counts refused requests', async () => {
  const viewer = await watch()
  const before = await egress()
  const { sequenceNumber } = viewer.videoPackets.at(-1)!.header
  for (let i = 0; i < 12; i++) {
    await sleep(20)
    await miss(viewer, [sequenceNumber])
  }
  await stage.waitForStatus('demo', 'refusals', (now) => now.egress.resendsRefused - before.resendsRefused >= 5)
  await sleep(100)
  const copies = viewer.videoPackets.filter(({ header }) => header.sequenceNumber === sequenceNumber)
  expect(copies).toHaveLength(1 + 4)
  const after = await egress()
  expect(after.resent - before.resent).toBe(4)
  const metrics = (await http('GET', `${stage.url}/metrics`)).text
  expect(metrics).toContain(`millrace_stream_resent_packets_total{stream="demo"} ${after.resent}\n`)
  expect(metrics).toContain(`millrace_stream_refused_resends_total{stream="demo"} ${after.resendsRefused}\n`)
  await viewer.peer.close()
  // Counts are kept after their viewer has left.
  await http('DELETE', viewer.session!)
  expect((await egress()).viewers).toBe(0)
  expect((await egress()).resendsRefused).toBe(after.resendsRefused)
})

it('retransmissions stay within a quarter of the media rate plus a burst, whatever is requested', async () => {
  const viewer = await watch()
  const end = performance.now() + 4000
  while (performance.now() < end) {
    await miss(
      viewer,
      viewer.videoPackets.slice(-150).map(({ header }) => header.sequenceNumber),
    )
    await sleep(20)
  }
  const bytes = (packets: typeof viewer.videoPackets) => packets.reduce((sum, { payload }) => sum + payload.length, 0)
  const first = [...new Map(viewer.videoPackets.map((packet) => [packet.header.sequenceNumber, packet])).values()]
  const again = bytes(viewer.videoPackets) - bytes(first)
  expect(again).toBeGreaterThan(20_000)
  expect(again).toBeLessThan(0.25 * bytes(first) * 1.1 + 128 * 1024)
  await viewer.peer.close()
})

it('a viewer that cannot keep up loses whole frames of its own and slows down no other viewer', async () => {
  const [slow, other, third] = [await watch(), await watch(), await watch()]
  let kbps = 5 * FULL
  const tell = async () => {
    // The estimate drops below the bitrate, then a little each time.
    kbps = kbps > FULL ? 300 : kbps - 10
    if (kbps < 250) kbps = 310
    const feedback = new ReceiverEstimatedMaxBitrate({
      senderSsrc: 1,
      mediaSsrc: 0,
      ssrcNum: 1,
      brExp: 10,
      brMantissa: Math.round((kbps * 1000) / 1024),
      bitrate: BigInt(kbps * 1000),
      ssrcFeedbacks: [ssrcOf(slow)],
    })
    await slow.peer.dtlsTransports[0]!.sendRtcp([new RtcpPayloadSpecificFeedback({ feedback })])
  }
  const telling = setInterval(() => void tell(), 400)
  try {
    const { dropped } = await stage.status('demo')
    await stage.waitForStatus('demo', 'frames left out', (now) => now.dropped.viewers - dropped.viewers > 20, 40_000)
    const counts = () => [slow, other, third].map(({ units }) => units.length)
    const before = counts()
    await waitFor('two hundred frames of another', () => other.units.length > before[1]! + 200)
    const [own, second, last] = counts().map((count, i) => count - before[i]!)
    expect(own).toBeLessThan(0.7 * second!)
    expect(last).toBeGreaterThan(0.9 * second!)
    expect((await egress()).targetKbps).toBe(FULL)
    // A gap is followed by a keyframe.
    const gaps = slow.units.filter((unit, i) => i > 0 && unit.timestamp - slow.units[i - 1]!.timestamp > 0.5 * 90_000)
    expect(gaps.length).toBeGreaterThan(0)
    for (const { data } of gaps) expect(nalUnits(data).some((nal) => (nal[0]! & 0x1f) === 5)).toBe(true)
  } finally {
    clearInterval(telling)
    await Promise.all([slow, other, third].map(({ peer }) => peer.close()))
  }
})
