import type { Peer } from '../peer.ts'
import { USUAL_MAX_MESSAGE_BYTES } from '../signalling/data-section.ts'
import type { Agreement } from '../signalling/negotiate.ts'
import { type DataChannel, DataChannels } from './channels.ts'
import { type DataFeed, sendFeed } from './feed.ts'
import { answerRequests } from './requests.ts'

/** The services behind the data channels of a WHIP or WHEP session, by label. */
export type ChannelServices = {
  /** Longest message accepted from the peer. */
  maxMessageBytes: number
  /** `data`: the pipeline's messages from now on. */
  data?(): DataFeed
  /** `params`: answers one change; it never rejects. `protocol` is that of the channel. */
  /** Whether we start the association, and open `data`, as soon as we are connected. */
  opens?: boolean
  params?(message: Buffer, channel: { protocol: string; maxMessageBytes: number }): Promise<string>
}

export const NO_SERVICES: ChannelServices = { maxMessageBytes: USUAL_MAX_MESSAGE_BYTES }

/**
 * Serves the channels that the peer opens. If the peer opens one with an unknown label, only to have the section in its
 * offer, we open `data`.
 */
export function serveChannels(
  peer: Peer,
  { data: agreed, transport }: Agreement,
  services: ChannelServices,
  rtpTimestamp: (pts: number) => number | undefined = () => undefined,
): { close(): void } | undefined {
  if (!agreed) return
  const { data, params } = services
  const open = new Map<string, DataChannel>()
  const feed = (channel: DataChannel | undefined) => {
    if (!channel || !data) return
    open.set('data', channel)
    void sendFeed(channel, data(), rtpTimestamp)
  }
  const channels = new DataChannels(peer, {
    agreed,
    role: transport.role,
    maxMessageBytes: services.maxMessageBytes,
    begins: services.opens ?? false,
    onChannel: (channel) => {
      const { label, protocol, maxMessageBytes } = channel
      // Each has its own buffers.
      if (open.get(label)?.closed === false) channel.close()
      else if (label === 'data') feed(channel)
      else if (label === 'params' && params) {
        open.set(label, channel)
        answerRequests(channel, (message) => params(message, { protocol, maxMessageBytes }))
      } else if (data && !open.has('data')) feed(channels.open('data'))
    },
  })
  if (services.opens)
    void peer.connected.then(
      () => {
        channels.begin()
        feed(channels.open('data'))
      },
      () => {},
    )
  return channels
}
