import type { Page } from 'playwright-core'

const EXCHANGE = `
  const exchange = async (peer, path) => {
    await peer.setLocalDescription()
    const answer = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: peer.localDescription.sdp,
    })
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
    return { status: answer.status, etag: answer.headers.get('etag'), location: new URL(answer.headers.get('location'), answer.url).href }
  }
`

/**
 * Makes the page a WHEP viewer, with its connection in `peer`; with `data`, messages of that channel are in `said`,
 * with their time of arrival.
 */
export function watchFromPage(
  page: Page,
  { data = false } = {},
): Promise<{ status: number; etag: string; location: string }> {
  return page.evaluate(`(async () => {
    ${EXCHANGE}
    const peer = new RTCPeerConnection()
    window.peer = peer
    const stream = new MediaStream()
    peer.ontrack = ({ track }) => stream.addTrack(track)
    document.querySelector('video').srcObject = stream
    peer.addTransceiver('video', { direction: 'recvonly' })
    peer.addTransceiver('audio', { direction: 'recvonly' })
    if (${data}) {
      window.said = []
      const channel = peer.createDataChannel('data')
      channel.onmessage = ({ data }) => said.push({ ...JSON.parse(data), at: Date.now() })
      channel.onopen = () => (window.listens = true)
    }
    const answer = await exchange(peer, '/whep/demo')
    document.querySelector('video').dataset.session = answer.location
    return answer
  })()`)
}

export type PublishFromPage = {
  codec?: 'H264' | 'VP8' | 'VP9' | 'AV1'
  layers?: { rid: string; scaleResolutionDownBy: number }[]
}

/** Makes the page publish a fake camera and microphone by WHIP. */
export function publishFromPage(page: Page, { codec, layers }: PublishFromPage = {}): Promise<unknown> {
  return page.evaluate(`(async () => {
    ${EXCHANGE}
    const video = { width: 1280, height: 720, frameRate: 30 }
    const media = await navigator.mediaDevices.getUserMedia({ video, audio: true })
    const peer = new RTCPeerConnection()
    window.peer = peer
    const options = { direction: 'sendonly', sendEncodings: ${JSON.stringify(layers ?? [{}])} }
    const transceiver = peer.addTransceiver(media.getVideoTracks()[0], options)
    const codec = ${JSON.stringify(codec ?? null)}
    const wanted = (one) => one.mimeType === 'video/rtx' || one.mimeType === 'video/' + codec
    if (codec) transceiver.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter(wanted))
    peer.addTransceiver(media.getAudioTracks()[0], { direction: 'sendonly' })
    return await exchange(peer, '/whip/demo')
  })()`)
}

/** Source for the page: statistics of its incoming video and its transport. */
export const VIDEO_STATS = `peer.getStats().then((all) => {
  const of = (type, kind) => [...all.values()].find((one) => one.type === type && (!kind || one.kind === kind))
  return { ...of('transport'), ...of('inbound-rtp', 'video') }
})`

export type VideoStats = {
  freezeCount: number
  totalFreezesDuration: number
  framesDecoded: number
  jitterBufferDelay: number
  jitterBufferEmittedCount: number
}

/** Restarts ICE of a viewer (RFC 9725 §4.3.3), and returns the response to its PATCH. */
export function restartIce(page: Page): Promise<{ status: number; etag: string }> {
  return page.evaluate(`(async () => {
    await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }))
    const lines = peer.localDescription.sdp.split('\\r\\n')
    const offered = ['a=ice-ufrag', 'a=ice-pwd', 'm=', 'a=mid'].map((start) => lines.find((one) => one.startsWith(start)))
    const answer = await fetch(document.querySelector('video').dataset.session, {
      method: 'PATCH',
      headers: { 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': '*' },
      body: offered.join('\\r\\n') + '\\r\\n',
    })
    const answered = (await answer.text()).split('\\r\\n')
    let sdp = peer.currentRemoteDescription.sdp
    for (const name of ['a=ice-ufrag:', 'a=ice-pwd:']) {
      sdp = sdp.replaceAll(new RegExp(name + '.*', 'g'), answered.find((one) => one.startsWith(name)))
    }
    await peer.setRemoteDescription({ type: 'answer', sdp })
    return { status: answer.status, etag: answer.headers.get('etag') }
  })()`)
}

/** Source for the page: the widths of the layers it is sending. */
export const LAYER_WIDTHS = `peer.getStats().then((all) =>
  [...all.values()]
    .filter((one) => one.type === 'outbound-rtp' && one.kind === 'video' && one.framesPerSecond > 0)
    .map((one) => one.frameWidth))`
