import type { DataChannel } from './channels.ts'

/** A message about the frame with time `pts`; `lost` is the number of messages lost before it. */
export type DataMessage = { pts: number; lost: number; json: string }

/** Messages from now on; bounded, so a reader that is too slow loses the oldest. */
export interface DataFeed {
  readonly ended: boolean
  /** The next message, if there is one. */
  next(): DataMessage | undefined
  /** Resolves when there may be a message, or none will come. */
  wait(): Promise<void>
  /** Counts a message that was taken but could not be passed on. */
  lose(message: DataMessage): void
  end(): void
}

/**
 * Sends each message with the RTP time stamp of its frame, as fast as the viewer's network allows, until either ends.
 */
export async function sendFeed(
  channel: DataChannel,
  feed: DataFeed,
  rtpTimestamp: (pts: number) => number | undefined,
) {
  channel.onClosed = () => feed.end()
  while (!channel.closed) {
    const message = feed.next()
    if (message) {
      const text = textOf(message, rtpTimestamp(message.pts))
      if (Buffer.byteLength(text) > channel.maxMessageBytes) feed.lose(message)
      else await channel.send(text)
    } else if (feed.ended) return
    else await feed.wait()
  }
}

/** As a line of `/out/{stream}.jsonl`, with the RTP time stamp by which a viewer finds the frame. */
function textOf({ pts, lost, json }: DataMessage, rtpTimestamp: number | undefined): string {
  const stamp = rtpTimestamp === undefined ? '' : `"rtpTimestamp":${rtpTimestamp},`
  return `{"pts":${pts},${stamp}${lost > 0 ? `"lost":${lost},` : ''}"data":${json}}`
}
