import { randomBytes } from 'node:crypto'
import type { Reader } from '../../core/broadcast.ts'
import type { EgressSink } from '../../core/media/endpoints.ts'
import type { Context } from '../../core/resource.ts'
import type { DataFeed } from '../data/feed.ts'
import { newSsrc } from '../rtp/sender.ts'
import { USUAL_MAX_MESSAGE_BYTES } from '../signalling/data-section.ts'
import { Viewer, type WhepStats } from '../whep/whep.ts'
import { type Endpoint, openClientSession } from './session.ts'

export type WhipSinkOptions = Endpoint & {
  /** H.264 in Annex B, and Opus. Closed with the sink, also when the sink cannot be opened. */
  reader: Reader
  /** The endpoint needs a keyframe. */
  requestKeyframe(): void
  /** The pipeline's messages from now on; sent over a data channel if the endpoint accepts one. */
  data?(): DataFeed
}

export interface WhipSink extends EgressSink {
  /** Path of the session's resource, as the endpoint gave it. */
  readonly resource: string | undefined
  stats(): WhepStats
}

/**
 * Publishes to a WHIP endpoint. Resolves when media can flow. Rejects as `openClientSession` does, and with `timeout`
 * if the endpoint cannot be reached.
 */
export async function openWhipSink(options: WhipSinkOptions, context: Context): Promise<WhipSink> {
  const { reader, requestKeyframe, data } = options
  const channels = data && { maxMessageBytes: USUAL_MAX_MESSAGE_BYTES, data, opens: true }
  const cname = randomBytes(9).toString('base64url')
  const streams = {
    video: { cname, ssrc: newSsrc(), retransmissionSsrc: newSsrc() },
    audio: { cname, ssrc: newSsrc() },
  }
  try {
    const sections = { ...options.sections, data: data !== undefined }
    const { agreement, peer, resource } = await openClientSession({ ...options, sections }, 'send', streams, context)
    const sink = new Viewer({ reader, requestKeyframe, streams, ...(channels && { channels }) }, agreement, peer)
    await sink.connected
    return Object.assign(sink, { resource })
  } catch (thrown) {
    reader.end()
    throw thrown
  }
}
