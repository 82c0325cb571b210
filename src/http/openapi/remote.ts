import { z } from '@hono/zod-openapi'
import { Params } from './schemas.ts'

const url = z.string().min(1)
/** LiveKit's limit is 256. */
const liveKitName = z.string().min(1).max(256)
const token = z.string().min(1).describe('Bearer token for HTTP protocols.')

export const RemoteInputSchema = z
  .strictObject({
    type: z
      .enum(['trickle', 'mpegts', 'rtsp', 'rtmp', 'srt', 'whep', 'livekit'])
      .optional()
      .describe('Required for http:// and https:// URLs and for LiveKit; other schemes imply it.'),
    url: url.optional().describe('User and password are never shown. LiveKit needs none.'),
    token: token.optional(),
    transport: z.enum(['tcp', 'udp']).optional().describe('Transport of RTSP media; tcp by default.'),
    room: liveKitName.optional().describe('LiveKit room; the output is published back into it.'),
    track: liveKitName.optional().describe('LiveKit: SID or name of a video track.'),
    participant: liveKitName
      .optional()
      .describe(
        'LiveKit: identity of the publisher; required where several participants publish a track of that name.',
      ),
  })
  .openapi('RemoteInput')

export const RemoteOutputSchema = z
  .strictObject({
    type: z
      .enum(['trickle', 'rtmp', 'srt', 'rtsp', 'whip'])
      .optional()
      .describe('Required for http:// and https:// URLs; other schemes imply it.'),
    url: url.describe('User, password, path and query are never shown.'),
    token: token.optional(),
    silence: z
      .boolean()
      .optional()
      .describe('RTMP only: a silent track while the stream has no audio, for services that refuse video alone.'),
  })
  .openapi('RemoteOutput')

export const OutputSchema = z
  .object({
    id: z.string(),
    stream: z.string(),
    type: z.string().openapi({ example: 'rtmp' }),
    to: z.string().describe('Scheme, host and port.'),
    state: z.enum(['connecting', 'running', 'waiting', 'ended']),
    startedAt: z.number().describe('Milliseconds since 1970.'),
    bytes: z.int().describe('Bytes sent, over all connections.'),
    dropped: z.int().describe('Packets dropped because the target was too slow.'),
    failures: z.int().describe('Failed connections since the start.'),
    lastError: z.record(z.string(), z.unknown()).nullable(),
    retryAt: z.string().nullable().describe('Time of the next try, while waiting.'),
  })
  .openapi('Output')

export const RemoteStreamRequest = z
  .strictObject({
    name: z.string().optional().describe('Generated when absent.'),
    input: RemoteInputSchema.optional().describe(
      'Source to pull from; `subscribeUrl` names a trickle channel instead.',
    ),
    outputs: z
      .array(RemoteOutputSchema)
      .max(16)
      .optional()
      .describe('Targets of the output, as in `POST /streams/{stream}/outputs`.'),
    subscribeUrl: url.optional().describe('Trickle channel with MPEG-TS segments to read.'),
    publishUrl: url.optional().describe('Trickle channel for the output; deleted when the stream ends.'),
    controlUrl: url.optional().describe('Trickle channel whose JSON messages replace the params.'),
    eventsUrl: url.optional().describe('Trickle channel for events; deleted when the stream ends.'),
    program: z.int().min(1).max(65_535).optional().describe('Number of the MPEG-TS program to read.'),
    pipeline: z.string().min(1).optional(),
    params: Params.optional(),
  })
  .openapi('RemoteStreamRequest')
