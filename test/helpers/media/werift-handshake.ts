import type { RTCPeerConnection } from 'werift'
import { HandshakeOrder } from '../../../src/webrtc/dtls/handshake-order.ts'

/** First bytes of DTLS records (RFC 7983). */
const DTLS = { first: 20, last: 63 } as const
/** Where the first message of a record has its type (RFC 6347 §4.3.2), and the type that only servers get. */
const TYPE_AT = 13
const CLIENT_HELLO = 1

/**
 * Makes a werift peer tolerate duplicate messages of the handshake, which occur on a busy machine: werift's client
 * fails on a second HelloVerifyRequest. Call after `setLocalDescription`.
 */
export function steadyHandshake(peer: RTCPeerConnection): void {
  for (const { connection } of peer.iceTransports) {
    const { onData } = connection
    const give = onData.execute.bind(onData)
    let order: HandshakeOrder | undefined
    onData.execute = (data) => {
      if (data[0]! < DTLS.first || data[0]! > DTLS.last) return give(data)
      order ??= new HandshakeOrder(data[TYPE_AT] === CLIENT_HELLO ? 'server' : 'client')
      order.pass(data, give)
    }
  }
}
