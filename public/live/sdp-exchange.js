import { send } from '../api.js'

/** Gathering on the local machine takes a few milliseconds; a slow STUN server must not hold everything up. */
const GATHER_MS = 600

/**
 * Offers a peer connection to a WHIP or WHEP endpoint and takes the answer. Resolves with the URL of the session that the
 * server made, for DELETE; rejects with what the server said.
 */
export async function exchangeSdp(peer, path, { signal, quiet } = {}) {
  await peer.setLocalDescription()
  await gathered(peer, GATHER_MS)
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

function gathered(peer, limitMs) {
  if (peer.iceGatheringState === 'complete') return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, limitMs)
    peer.addEventListener('icegatheringstatechange', () => {
      if (peer.iceGatheringState !== 'complete') return
      clearTimeout(timer)
      resolve()
    })
  })
}
