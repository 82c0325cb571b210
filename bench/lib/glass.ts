import type { Browser, Page } from 'playwright-core'
import { READ_MARKER_SOURCE } from '../../test/helpers/marker.ts'
import { HD } from './sizes.ts'
import { FPS } from './units.ts'

/** Draws numbered pictures on a canvas, publishes them by WHIP, watches them by WHEP and reads the numbers back. */
const PAGE = `(async () => {
  ${READ_MARKER_SOURCE}
  const columns = 18
  const [width, height] = [${HD.width}, ${HD.height}]
  const canvas = Object.assign(document.createElement('canvas'), { width, height })
  const context = canvas.getContext('2d')
  const drawn = new Map()
  const shown = []
  let number = 0
  const draw = () => {
    number++
    context.fillStyle = 'hsl(' + (number % 360) + ' 40% 45%)'
    context.fillRect(0, 0, width, height)
    context.fillStyle = '#d0d0d0'
    for (let i = 0; i < 40; i++) context.fillRect((i * 67 + number * 5) % width, 130 + (i * 41) % (height - 160), 40, 24)
    const sum = Math.imul(number ^ 0x5a5a5a, 0x9e3779b1) >>> 24
    const bits = ((number << 8) | sum) >>> 0
    const strip = Math.floor(height / 6)
    for (let row = 0; row < 2; row++) {
      for (let column = 0; column < columns; column++) {
        const bit = ((bits >>> (31 - (row * 16 + column - 1))) & 1) === 1
        const white = column === 0 ? row === 0 : column === columns - 1 ? row === 1 : bit
        context.fillStyle = white ? '#fff' : '#000'
        const left = Math.round(column * width / columns)
        const top = Math.round(row * strip / 2)
        context.fillRect(left, top, Math.round((column + 1) * width / columns) - left, Math.round((row + 1) * strip / 2) - top)
      }
    }
    drawn.set(number, performance.now())
  }
  draw()
  const timer = setInterval(draw, ${1000 / FPS})
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
  const [track] = canvas.captureStream(${FPS}).getVideoTracks()
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
  const strip = Object.assign(document.createElement('canvas'), { width: 360, height: 40 }).getContext('2d', { willReadFrequently: true })
  const note = (now, meta) => {
    const at = performance.now()
    strip.drawImage(video, 0, 0, meta.width, Math.floor(meta.height / 6), 0, 0, 360, 40)
    const read = readMarkerFromRgba(strip.getImageData(0, 0, 360, 40).data, 360, 240)
    const from = drawn.get(read)
    if (from !== undefined) shown.push({ at: performance.timeOrigin + at, ms: at - from, number: read })
    video.requestVideoFrameCallback(note)
  }
  video.requestVideoFrameCallback(note)
  window.glass = { shown, stop: () => { clearInterval(timer); publisher.close(); viewer.close() } }
})()`

export type Shown = { at: number; ms: number; number: number }

/** A page that publishes to a server and watches what comes back. */
export async function openGlass(browser: Browser, url: string): Promise<Page> {
  const page = await browser.newPage()
  // Any page of the server: what matters is that requests stay within one origin.
  await page.goto(`${url}/version`)
  await page.evaluate(PAGE)
  return page
}

/** What was shown since the last call: how long after it was drawn each picture was there. */
export function takeShown(page: Page): Promise<Shown[]> {
  return page.evaluate('window.glass.shown.splice(0)')
}

export async function closeGlass(page: Page): Promise<void> {
  await page.evaluate('window.glass.stop()').catch(() => {})
  await page.close()
}
