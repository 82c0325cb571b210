import type { Browser, Page } from 'playwright-core'
import { NUMBERED_CANVAS_SOURCE } from '../../../test/helpers/browser/numbered-canvas.ts'
import { HD } from '../media/sizes.ts'
import { FPS } from '../media/units.ts'

const CAMERA = `${NUMBERED_CANVAS_SOURCE}
const camera = numberedCanvas(${HD.width}, ${HD.height}, ${FPS})`

/** Draws numbered frames on a canvas, publishes them over WHIP, watches them over WHEP and reads the numbers back. */
const PEERS = `(async () => {
  ${CAMERA}
  const exchange = async (peer, path) => {
    await peer.setLocalDescription()
    await new Promise((done) => {
      if (peer.iceGatheringState === 'complete') done()
      peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && done()
      setTimeout(done, 1000)
    })
    const answer = await fetch(path, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: peer.localDescription.sdp })
    if (answer.status !== 201) throw new Error(path + ' answered ' + answer.status + ': ' + (await answer.text()))
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
  }
  const h264 = (of) => of.getCapabilities('video').codecs.filter((one) => one.mimeType === 'video/H264' && /packetization-mode=1/.test(one.sdpFmtpLine) && /42e0|4200/.test(one.sdpFmtpLine))
  const connected = (peer) => new Promise((done) => {
    const look = () => peer.connectionState === 'connected' && done()
    peer.onconnectionstatechange = look
    look()
  })
  const publisher = new RTCPeerConnection()
  const track = camera.track()
  track.contentHint = 'motion'
  const sending = publisher.addTransceiver(track, { direction: 'sendonly', sendEncodings: [{ maxBitrate: 2500000, maxFramerate: ${FPS} }] })
  sending.setCodecPreferences(h264(RTCRtpSender))
  await exchange(publisher, '/whip/glass')
  await connected(publisher)
  const viewer = new RTCPeerConnection()
  const receiving = viewer.addTransceiver('video', { direction: 'recvonly' })
  receiving.setCodecPreferences(h264(RTCRtpReceiver))
  receiving.receiver.jitterBufferTarget = 0
  const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true, playsInline: true })
  video.srcObject = new MediaStream([receiving.receiver.track])
  document.body.append(video)
  for (let turn = 0; ; turn++) {
    try {
      await exchange(viewer, '/whep/glass')
      break
    } catch (error) {
      if (turn > 20) throw error
      await new Promise((done) => setTimeout(done, 500))
      await viewer.setLocalDescription({ type: 'rollback' })
    }
  }
  window.glass = { shown: readNumbers(video, camera.drawn), stop: () => { camera.stop(); publisher.close(); viewer.close() } }
})()`

export type OpenGlass = (browser: Browser, url: string) => Promise<Page>

/** A page that publishes to any server with WHIP and WHEP, and watches what comes back. */
export const openPeers: OpenGlass = async (browser, url) => {
  const page = await browser.newPage()
  // Any page of the server will do, to keep requests within one origin.
  await page.goto(`${url}/version`)
  await page.evaluate(PEERS)
  return page
}
