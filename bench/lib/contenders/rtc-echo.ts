/** A plain werift server for comparison, which forwards one WHIP publisher to WHEP viewers; prints its URL. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MediaStreamTrack, type RTCPeerConnection } from 'werift'
import { h264Peer } from '../media/rtc-peer.ts'

type Publisher = { track: MediaStreamTrack; requestKeyframe(): void }

let publisher: Publisher | undefined
const peers = new Set<RTCPeerConnection>()

async function answer(peer: RTCPeerConnection, offer: string): Promise<string> {
  peers.add(peer)
  await peer.setRemoteDescription({ type: 'offer', sdp: offer })
  await peer.setLocalDescription(await peer.createAnswer())
  return peer.localDescription!.sdp
}

function whip(offer: string): Promise<string> {
  const peer = h264Peer()
  peer.onRemoteTransceiverAdded.subscribe((transceiver) => {
    transceiver.onTrack.subscribe((track) => {
      const requestKeyframe = () => {
        if (track.ssrc !== undefined) void transceiver.receiver.sendRtcpPLI(track.ssrc)
      }
      publisher = { track, requestKeyframe }
    })
  })
  return answer(peer, offer)
}

function whep(offer: string): Promise<string> {
  if (!publisher) throw new Error('nobody publishes')
  const { track, requestKeyframe } = publisher
  const peer = h264Peer()
  // A new track: the publisher's has a profile that not every viewer offers.
  const copy = new MediaStreamTrack({ kind: 'video' })
  track.onReceiveRtp.subscribe((packet) => copy.writeRtp(packet))
  const { sender } = peer.addTransceiver(copy, { direction: 'sendonly' })
  sender.onPictureLossIndication.subscribe(requestKeyframe)
  peer.connectionStateChange.subscribe((state) => {
    if (state === 'connected') requestKeyframe()
  })
  return answer(peer, offer)
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

const server = createServer(async (request, response) => {
  try {
    if (request.method !== 'POST') {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<title>echo</title>')
      return
    }
    const offer = await bodyOf(request)
    const sdp = request.url?.startsWith('/whip/') ? await whip(offer) : await whep(offer)
    response.writeHead(201, { 'content-type': 'application/sdp' }).end(sdp)
  } catch (thrown) {
    response.writeHead(500).end(String(thrown))
  }
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
process.once('SIGTERM', async () => {
  await Promise.all([...peers].map((peer) => peer.close()))
  process.exit()
})
process.on('disconnect', () => process.exit())
