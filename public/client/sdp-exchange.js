/** @import { Requests } from './requests.js' */
import { askIceServers } from './ice-servers.js'

/** Local gathering takes a few milliseconds; a slow STUN server must not delay the offer. */
const GATHER_MS = 600
/** A TURN server is configured because there may be no other path, so its candidate is waited for. */
const RELAY_MS = 3000

/**
 * Offers a peer connection to a WHIP or WHEP endpoint, using the ICE servers that it names, and applies the answer.
 * @param {RTCPeerConnection} peer
 * @param {Requests} requests
 * @param {string} path
 * @param {{ background?: boolean }} options
 * @returns {Promise<string | undefined>} the URL of the session that the server made, for DELETE
 */
export async function exchangeSdp(peer, requests, path, { background }) {
  const iceServers = await askIceServers(requests, path, { background })
  peer.setConfiguration({ ...peer.getConfiguration(), iceServers })
  await peer.setLocalDescription()
  await gathered(peer, iceServers)
  const answer = await requests.send('POST', path, {
    body: peer.localDescription?.sdp,
    headers: { 'content-type': 'application/sdp', accept: 'application/sdp' },
    background,
  })
  const location = answer.headers.get('location')
  const session = location ? new URL(location, answer.url).href : undefined
  try {
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
  } catch (error) {
    endSession(requests, session)
    throw error
  }
  return session
}

/**
 * Tells the server that a session is over; also works while the page is closing.
 * @param {Requests} requests
 * @param {string | undefined} session
 */
export function endSession(requests, session) {
  if (session) requests.send('DELETE', session, { background: true, keepalive: true }).catch(() => {})
}

/**
 * Resolves when the offer has the candidates that are worth waiting for.
 * @param {RTCPeerConnection} peer
 * @param {RTCIceServer[]} iceServers
 * @returns {Promise<void>}
 */
function gathered(peer, iceServers) {
  if (peer.iceGatheringState === 'complete') return Promise.resolve()
  const relayed = iceServers.some(({ urls }) => [urls].flat().some((url) => /^turn/i.test(url)))
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      peer.removeEventListener('icegatheringstatechange', look)
      peer.removeEventListener('icecandidate', lookAt)
      resolve()
    }
    const look = () => peer.iceGatheringState === 'complete' && done()
    const lookAt = (/** @type {RTCPeerConnectionIceEvent} */ { candidate }) => candidate?.type === 'relay' && done()
    const timer = setTimeout(done, relayed ? RELAY_MS : GATHER_MS)
    peer.addEventListener('icegatheringstatechange', look)
    peer.addEventListener('icecandidate', lookAt)
  })
}
