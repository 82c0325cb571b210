/**
 * A viewer of a LiveKit room with LiveKit's own client, `@livekit/rtc-node`, which is given by path: arguments are the
 * folder that it is installed in, the URL, and a token. Prints each frame of the processed track with its number.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { IDENTITY } from '../../src/remote/livekit/tracks.ts'
import { readMarkerFrom } from '../../test/helpers/marker.ts'

/** A frame of the processed track: its arrival, and its number; -1 if it has none, like the overlay. */
export type Sighting = [at: number, number: number]

type Frame = { width: number; height: number; data: Uint8Array; convert(type: number): Frame }
type Publication = { kind?: number; setSubscribed(is: boolean): void }
type Participant = { identity: string; trackPublications: Map<string, Publication> }
type Room = {
  remoteParticipants: Map<string, Participant>
  on(event: string, listener: (...args: never[]) => void): void
  connect(url: string, token: string, options: object): Promise<void>
}
type Client = {
  Room: new () => Room
  VideoStream: new (track: unknown) => AsyncIterable<{ frame: Frame }>
  VideoBufferType: { I420: number }
}

const KIND_VIDEO = 2
/** Printed to stderr. */
const EVENTS = [
  ...['participantConnected', 'participantDisconnected', 'trackPublished', 'trackUnpublished', 'trackSubscribed'],
  ...['trackUnsubscribed', 'trackSubscriptionFailed', 'connectionStateChanged', 'reconnecting', 'reconnected'],
]
const [folder = '', url = '', token = ''] = process.argv.slice(2)
const path = join(folder, 'node_modules/@livekit/rtc-node/dist/index.js')
const { Room, VideoStream, VideoBufferType } = (await import(pathToFileURL(path).href)) as Client

const room = new Room()
const want = (publication: Publication, { identity }: Participant) => publication.setSubscribed(identity === IDENTITY)
const wantAll = () => {
  for (const participant of room.remoteParticipants.values())
    for (const publication of participant.trackPublications.values()) want(publication, participant)
}
room.on('trackPublished', want)
// After its own reconnect, it does not get an event for every track.
for (const event of ['participantConnected', 'reconnected']) room.on(event, wantAll)
room.on('trackSubscribed', (track: { kind: number }, _: Publication, { identity }: Participant) => {
  if (identity === IDENTITY && track.kind === KIND_VIDEO) void watch(track)
})
room.on('disconnected', () => process.exit(1))
for (const event of EVENTS)
  room.on(event, (...told: unknown[]) => console.error(Date.now(), event, ...told.map(nameOf)))
await room.connect(url, token, { autoSubscribe: false, dynacast: false })
wantAll()

async function watch(track: unknown): Promise<void> {
  for await (const { frame } of new VideoStream(track)) {
    const at = Date.now()
    const { data, width, height } = frame.convert(VideoBufferType.I420)
    const number = readMarkerFrom(data, width, height, 1) ?? -1
    const sighting: Sighting = [at, number]
    console.log(JSON.stringify(sighting))
  }
}

function nameOf(one: unknown): string {
  const { sid = '', identity = '' } = (typeof one === 'object' && one ? one : {}) as Record<string, unknown>
  return typeof one === 'object' ? `${identity}${sid}` : String(one)
}
