import { send } from '../api.js'
import { askIceServers } from './ice-servers.js'

/** Gathering on the local machine takes a few milliseconds; a slow STUN server must not hold everything up. */
const GATHER_MS = 600
/** A TURN server is named because there may be no other way; it is waited for until it has given an address. */
const RELAY_MS = 3000

/**
 * Offers a peer connection to a WHIP or WHEP endpoint, with the ICE servers that this one names, and takes the answer.
 * Resolves with the URL of the session that the server made, for DELETE; rejects with what the server said.
 */
export async function exchangeSdp(peer, path, { signal, quiet } = {}) {
  const iceServers = await askIceServers(path, { signal, quiet })
  peer.setConfiguration({ ...peer.getConfiguration(), iceServers })
  await peer.setLocalDescription()
  await gathered(peer, iceServers)
  const answer = await send('POST', path, {
    body: peer.localDescription.sdp,
    headers: { 'content-type': 'application/sdp', accept: 'application/sdp' },
    signal,
    quiet,
  })
  const location = answer.headers.get('location')
  const session = location ? new URL(location, answer.url).href : undefined
  try {
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
  } catch (error) {
    endSession(session)
    throw error
  }
  return session
}

/** Tells the server that a session is over; works while the page is being closed, too. */
export function endSession(session) {
  if (session) send('DELETE', session, { quiet: true, keepalive: true }).catch(() => {})
}

/** Until the offer has the candidates that are worth waiting for. */
function gathered(peer, iceServers) {
  if (peer.iceGatheringState === 'complete') return Promise.resolve()
  const relayed = iceServers.some(({ urls }) => /^turn/i.test(urls))
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      peer.removeEventListener('icegatheringstatechange', look)
      peer.removeEventListener('icecandidate', lookAt)
      resolve()
    }
    const look = () => peer.iceGatheringState === 'complete' && done()
    const lookAt = ({ candidate }) => candidate?.type === 'relay' && done()
    const timer = setTimeout(done, relayed ? RELAY_MS : GATHER_MS)
    peer.addEventListener('icegatheringstatechange', look)
    peer.addEventListener('icecandidate', lookAt)
  })
}
