import { READ_MARKER_SOURCE } from '../marker.ts'

/** The frame that a viewer in a page shows; `number` is null if the frame has none. */
export type PageLook = { width: number; height: number; number: number | null; corner: number }

/**
 * Evaluated in a page of the server, in any browser: `watch(url)` creates a WHEP viewer and returns its offer,
 * `look(url)` returns a `PageLook`, or null before its first frame, and `leave(url)` ends it.
 */
export const PAGE_VIEWERS = `(() => {
  ${READ_MARKER_SOURCE}
  const viewers = new Map()
  window.watch = async (url) => {
    const peer = new RTCPeerConnection()
    const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true })
    document.body.append(video)
    const stream = video.srcObject = new MediaStream()
    peer.addTransceiver('video', { direction: 'recvonly' })
    peer.addTransceiver('audio', { direction: 'recvonly' })
    peer.ontrack = ({ track }) => stream.addTrack(track)
    await peer.setLocalDescription()
    const body = peer.localDescription.sdp
    const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body })
    if (answer.status !== 201) throw new Error(await answer.text())
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
    viewers.set(url, { peer, video, session: new URL(answer.headers.get('location'), answer.url).href })
    return body
  }
  window.leave = async (url) => {
    const { peer, video, session } = viewers.get(url)
    peer.close()
    video.remove()
    await fetch(session, { method: 'DELETE' })
  }
  window.look = (url) => {
    const { video } = viewers.get(url)
    if (!video.videoWidth) return null
    const canvas = Object.assign(document.createElement('canvas'), { width: 360, height: 240 })
    const context = canvas.getContext('2d', { willReadFrequently: true })
    context.drawImage(video, 0, 0, 360, 240)
    const { data } = context.getImageData(0, 0, 360, 240)
    return {
      width: video.videoWidth,
      height: video.videoHeight,
      number: readMarkerFromRgba(data, 360, 240) ?? null,
      // The marker's first block, white in a numbered clip.
      corner: data[(10 * 360 + 10) * 4],
    }
  }
})()`
