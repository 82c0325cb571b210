import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Broadcast } from '../../../src/core/broadcast.ts'
import type { EncodedPacket } from '../../../src/core/packet.ts'
import { signallingRoutes } from '../../../src/http/signalling.ts'
import { openWhepSession, type WhepSession } from '../../../src/webrtc/whep.ts'
import { launchChromium, startCollecting, takeFrames } from '../../helpers/chromium.ts'
import { LogCollector } from '../../helpers/logs.ts'
import { waitFor } from '../../helpers/wait.ts'
import { clipPackets, playPackets } from './clip-feed.ts'

const WATCH = `async () => {
  const peer = new RTCPeerConnection()
  window.peer = peer
  const video = document.querySelector('video')
  const stream = new MediaStream()
  peer.ontrack = ({ track }) => stream.addTrack(track)
  video.srcObject = stream
  peer.addTransceiver('video', { direction: 'recvonly' })
  peer.addTransceiver('audio', { direction: 'recvonly' })
  await peer.setLocalDescription()
  const answer = await fetch('/whep/demo', {
    method: 'POST',
    headers: { 'content-type': 'application/sdp' },
    body: peer.localDescription.sdp,
  })
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
  return { status: answer.status, etag: answer.headers.get('etag'), location: answer.headers.get('location') }
}`

const VIDEO_STATS = `peer.getStats().then((all) => {
  const of = (type, kind) => [...all.values()].find((one) => one.type === type && (!kind || one.kind === kind))
  return { ...of('transport'), ...of('inbound-rtp', 'video') }
})`
type VideoStats = { jitterBufferDelay: number; jitterBufferEmittedCount: number }

const FPS = 30
const SECONDS = 8
const FRAMES = FPS * SECONDS

let packets: EncodedPacket[]
let browser: Browser
beforeAll(async () => {
  packets = await clipPackets({ seconds: SECONDS, width: 640, height: 360, fps: FPS, gop: FPS, audio: 'flash-beep' })
  browser = await launchChromium()
})
afterAll(() => browser?.close())

test('Chromium plays a WHEP session, in order and without delay that grows', async () => {
  const logs = new LogCollector()
  const broadcast = new Broadcast(() => {})
  const sessions: WhepSession[] = []
  let keyframes = 0
  const app = new Hono()
  app.get('/', (c) => c.html('<video autoplay muted playsinline></video>'))
  app.route(
    '/',
    signallingRoutes({
      kind: 'whep',
      iceServers: [],
      open: async ({ offer }) => {
        const ice = { udpPorts: [50_000, 50_200], iceServers: [] } as const
        const requestKeyframe = () => keyframes++
        const reader = broadcast.subscribe()
        const session = await openWhepSession({ offer, reader, ice, requestKeyframe }, { log: logs.log })
        sessions.push(session)
        return session
      },
    }),
  )
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
  const playing = new AbortController()
  const done = playPackets(packets, broadcast, playing.signal)
  const page = await browser.newPage()
  try {
    await waitFor('the server', () => server.listening)
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await startCollecting(page, 'video')
    const answer = await page.evaluate(`(${WATCH})()`)
    expect(answer).toMatchObject({ status: 201, etag: expect.stringMatching(/^".+"$/) })
    const session = sessions[0]!
    await session.connected
    await page.waitForTimeout(6000)
    const numbers = (await takeFrames(page)).map(({ number }) => number)
    expect(numbers.length).toBeGreaterThan(120)
    expect(numbers).not.toContain(null)
    const steps = numbers.slice(1).map((number, i) => (number! - numbers[i]! + FRAMES) % FRAMES)
    expect(steps.every((step) => step > 0 && step < FRAMES / 2)).toBe(true)
    const video = await page.evaluate<VideoStats>(VIDEO_STATS)
    expect(video).toMatchObject({ freezeCount: 0, packetsLost: 0, srtpCipher: 'SRTP_AEAD_AES_128_GCM' })
    // Playout delay 0: the viewer's jitter buffer adds less than a frame.
    expect((video.jitterBufferDelay / video.jitterBufferEmittedCount) * 1000).toBeLessThan(20)
    expect(session.stats()).toMatchObject({ dropped: 0 })
    expect(keyframes).toBeGreaterThan(0)
    await page.evaluate('peer.close()')
    expect(await session.closed).toEqual({ why: 'ended' })
  } finally {
    playing.abort()
    await done
    await page.close()
    server.close()
    for (const session of sessions) await session.close()
  }
})
