import type { StartRequest } from '../start-request.ts'
import type { NetworkSession, Registration } from './registration.ts'

const CHANNELS = [
  { name: 'in', mime_type: 'video/MP2T' },
  { name: 'out', mime_type: 'video/MP2T' },
  { name: 'control', mime_type: 'application/json' },
  { name: 'events', mime_type: 'application/json' },
]

/** The session of a request that an orchestrator's proxy passed on. */
export function networkSessionOf(header: (name: string) => string | undefined): NetworkSession | undefined {
  const id = header('livepeer-session-id')?.trim()
  const token = header('livepeer-session-token')?.trim()
  const route = header('livepeer-runner-route')?.trim()
  return id && token && route ? { id, token, route } : undefined
}

/** The URLs of a start from the client's side: it publishes what we subscribe to. */
export type ClientUrls = { publish_url: string; subscribe_url: string; control_url: string; events_url: string }

/** Creates the channels of a start that names none, with internal addresses for us and public ones for the client. */
export async function withChannels(
  registration: Registration,
  session: NetworkSession,
  request: StartRequest,
): Promise<{ request: StartRequest; urls: ClientUrls; remove(): Promise<void> }> {
  const made = await registration.createChannels(session, CHANNELS)
  const publicly = (name: string) => made.get(name)?.url ?? ''
  const inside = (name: string) => made.get(name)?.internal_url || publicly(name)
  return {
    request: {
      ...request,
      subscribeUrl: inside('in'),
      publishUrl: inside('out'),
      controlUrl: inside('control'),
      eventsUrl: inside('events'),
    },
    urls: {
      publish_url: publicly('in'),
      subscribe_url: publicly('out'),
      control_url: publicly('control'),
      events_url: publicly('events'),
    },
    remove: () =>
      registration.removeChannels(
        session,
        CHANNELS.map(({ name }) => name),
      ),
  }
}
