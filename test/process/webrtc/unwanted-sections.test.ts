import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { waitFor } from '../../helpers/wait.ts'
import { clipPackets, playPackets } from './support/clip-feed.ts'
import { SignallingServer } from './support/server.ts'

let browser: Browser
beforeAll(async () => {
  browser = await launchChromium()
})
afterAll(() => browser?.close())

/** In the page: opens `peer` with the media `add` adds, and exchanges the descriptions. */
const open = (path: string, add: string) => `(async () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 })
  const draw = () => canvas.getContext('2d').fillRect(Math.random() * 200, 0, 50, 50)
  setInterval(draw, 50)
  const track = () => canvas.captureStream(20).getVideoTracks()[0]
  const peer = (window.peer = new RTCPeerConnection())
  ${add}
  await peer.setLocalDescription()
  const body = peer.localDescription.sdp
  const answer = await fetch('${path}', { method: 'POST', headers: { 'content-type': 'application/sdp' }, body })
  const sdp = await answer.text()
  if (answer.status !== 201) throw new Error(sdp)
  await peer.setRemoteDescription({ type: 'answer', sdp })
  return peer.getTransceivers().map((one) => one.currentDirection)
})()`

test.each<[string, string, (string | null)[]]>([
  [
    'audio that is inactive',
    `peer.addTransceiver('audio', { direction: 'inactive' }); peer.addTransceiver(track(), { direction: 'sendonly' })`,
    ['inactive', 'sendonly'],
  ],
  [
    'a second camera',
    `for (let i = 0; i < 2; i++) peer.addTransceiver(track(), { direction: 'sendonly' })`,
    ['sendonly', 'inactive'],
  ],
  [
    'audio in another codec that is inactive, first',
    `
    const audio = peer.addTransceiver('audio', { direction: 'inactive' })
    audio.setCodecPreferences(RTCRtpReceiver.getCapabilities('audio').codecs.filter((one) => one.mimeType === 'audio/PCMU'))
    peer.addTransceiver(track(), { direction: 'sendonly' })`,
    ['sendonly'],
  ],
  [
    'a data channel',
    `peer.createDataChannel('x'); peer.addTransceiver(track(), { direction: 'sendonly' })`,
    ['sendonly'],
  ],
])('Chromium publishes beside %s', async (_, add, directions) => {
  await using server = new SignallingServer()
  const page = await browser.newPage()
  await page.goto(await server.listen())
  expect(await page.evaluate(open('/whip/demo', add))).toEqual(directions)
  const source = await server.publishers[0]!.source
  let frames = 0
  void (async () => {
    for await (const { track } of source.packets) if (track.kind === 'video') frames++
  })()
  await waitFor('frames', () => frames > 10)
  await page.close()
})

test.each<[string, string]>([
  [
    'audio that it sends',
    `peer.addTransceiver('audio', { direction: 'sendonly' }); peer.addTransceiver('video', { direction: 'recvonly' })`,
  ],
  ['a second video', `for (let i = 0; i < 2; i++) peer.addTransceiver('video', { direction: 'recvonly' })`],
  [
    'an inactive video, first',
    `for (const direction of ['inactive', 'recvonly']) peer.addTransceiver('video', { direction })`,
  ],
])('Chromium watches beside %s', async (_, add) => {
  await using server = new SignallingServer()
  const packets = await clipPackets({ seconds: 2, width: 320, height: 180, fps: 30, gop: 15 })
  const playing = new AbortController()
  const done = playPackets(packets, server.broadcast, playing.signal)
  const page = await browser.newPage()
  try {
    await page.goto(await server.listen())
    await page.evaluate(open('/whep/demo', add))
    const decoded = `peer.getStats().then((all) =>
      Math.max(0, ...[...all.values()].map((one) => (one.type === 'inbound-rtp' && one.framesDecoded) || 0)))`
    await waitFor('frames', async () => (await page.evaluate<number>(decoded)) > 10)
  } finally {
    playing.abort()
    await done
    await page.close()
  }
})
