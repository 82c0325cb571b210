const CONNECT_MS = 10_000
/** ICE reports `disconnected` for short gaps that recover by themselves. */
const HEAL_MS = 3000

const NO_WAY =
  'no media connection to the server: open its WebRTC port (UDP_PORT, 8189 for UDP and TCP) in the firewall, or set PUBLIC_IP when it is behind NAT'
const FAILED =
  'the media connection to the server failed; try again. If it keeps failing, open its WebRTC port (UDP_PORT) in the firewall'

/**
 * Resolves when media can flow; rejects with an error that says what to check.
 * @param {RTCPeerConnection} peer
 * @returns {Promise<void>}
 */
export function connected(peer) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(NO_WAY)), CONNECT_MS)
    const look = () => {
      if (peer.connectionState === 'connected') resolve()
      else if (peer.connectionState === 'failed') reject(new Error(FAILED))
      else return
      clearTimeout(timer)
      peer.removeEventListener('connectionstatechange', look)
    }
    peer.addEventListener('connectionstatechange', look)
    look()
  })
}

/**
 * Calls `lost` when the connection fails. `dismissed` is true if the server closed it, as it does when somebody ends
 * the session or stops the stream, and before it shuts down. Not called after `peer` was closed here.
 * @param {RTCPeerConnection} peer
 * @param {(dismissed: boolean) => void} lost
 */
export function whenLost(peer, lost) {
  const transport = peer.getTransceivers()[0]?.sender.transport
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  const look = () => {
    clearTimeout(timer)
    if (peer.signalingState === 'closed') return
    const dismissed = transport?.state === 'closed'
    if (dismissed || peer.connectionState === 'failed') lost(dismissed)
    else if (peer.connectionState === 'disconnected') {
      timer = setTimeout(() => peer.signalingState !== 'closed' && lost(false), HEAL_MS)
    }
  }
  peer.addEventListener('connectionstatechange', look)
  transport?.addEventListener('statechange', look)
}

/**
 * The browser's statistics of a connection's video.
 * @param {RTCPeerConnection | undefined} peer
 * @param {'inbound-rtp' | 'outbound-rtp'} type
 * @returns {Promise<{ video: any, roundTripMs: number } | undefined>} undefined without connection or video;
 *   `roundTripMs` is 0 while it is not known
 */
export async function videoStats(peer, type) {
  const report = await peer?.getStats()
  if (!report) return undefined
  /** @type {any[]} */
  const all = [...report.values()]
  const video = all.find((stat) => stat.type === type && stat.kind === 'video')
  if (!video) return undefined
  const pair = all.find((stat) => stat.type === 'candidate-pair' && stat.nominated && stat.state === 'succeeded')
  return { video, roundTripMs: (pair?.currentRoundTripTime ?? 0) * 1000 }
}
