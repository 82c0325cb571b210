import { z } from '@hono/zod-openapi'
import { WhepQuery } from '../routes/whep-query.ts'
import {
  bytes,
  needs,
  ok,
  problem,
  publishProblems,
  publishQueryParams,
  type RouteRegistry,
  StreamName,
  streamParam,
  tsQueryParams,
} from './describe.ts'

const SDP = 'application/sdp'
const FRAGMENT = 'application/trickle-ice-sdpfrag'
const TS = 'video/mp2t'

const text = (type: string, description: string) => ({
  required: true,
  content: { [type]: { schema: { type: 'string' as const, description } } },
})

/** Routes that carry media or set it up. They answer on the socket, so they are described separately. */
export function describeMedia(registry: RouteRegistry): void {
  describeIngest(registry)
  describeSignalling(registry, 'whip')
  describeSignalling(registry, 'whep')
  describeOut(registry)
}

function describeIngest(registry: RouteRegistry): void {
  for (const method of ['post', 'put'] as const) {
    registry.registerPath({
      method,
      path: '/ingest/{stream}',
      operationId: `${method}Ingest`,
      tags: ['In'],
      summary: 'Publish MPEG-TS in one long request body',
      description: 'H.264 or HEVC, with AAC, MP2, MP3, AC-3, E-AC-3 or Opus. The publisher leaves when the body ends.',
      security: needs.authToken,
      request: {
        params: streamParam,
        query: tsQueryParams,
        body: text(TS, 'MPEG-TS, of any length.'),
      },
      responses: {
        200: ok('The body ended, or the stream was stopped.', z.object({ stream: z.string(), ended: z.string() })),
        ...publishProblems,
        415: problem('No video track with a supported codec.'),
      },
    })
  }
}

function describeSignalling(registry: RouteRegistry, kind: 'whip' | 'whep'): void {
  const whip = kind === 'whip'
  const tags = [whip ? 'In' : 'Out']
  const security = whip ? needs.authToken : needs.viewToken
  const name = whip ? 'Whip' : 'Whep'
  const endpoint = `/${kind}/{stream}`
  const resource = `/${kind}/{stream}/{session}`
  const params = z.object({
    stream: StreamName,
    session: z.string().openapi({ param: { name: 'session', in: 'path' } }),
  })
  const gone = problem('No such session.')
  registry.registerPath({
    method: 'post',
    path: endpoint,
    operationId: `open${name}`,
    tags,
    summary: whip ? 'Publish by WebRTC (WHIP, RFC 9725)' : 'Watch by WebRTC (WHEP)',
    description: whip
      ? 'A browser, OBS 30 or newer, GStreamer, ffmpeg 8 or newer. The response comes before media flows. On a data ' +
        'channel `params` each message is a merge patch of the params, answered like `POST /params`.'
      : 'H.264 and Opus. A viewer may connect before the publisher, and gets the overlay (no input view). On a data ' +
        'channel `data` it gets the data of the pipeline; with control rights it changes the params on ' +
        'a data channel `params`.',
    security,
    request: {
      params: streamParam,
      query: whip ? publishQueryParams : WhepQuery,
      body: text(SDP, 'The offer.'),
    },
    responses: {
      201: {
        ...bytes('The answer, with all candidates of the server.', SDP),
        headers: z.object({
          Location: z.string().describe('URL of the session, relative to the request’s URL.'),
          ETag: z.string().describe('Tag of the ICE session, for PATCH.'),
          Link: z.string().optional().describe('STUN and TURN servers for the client.'),
        }),
      },
      ...publishProblems,
      413: problem('The offer is larger than 128 KiB.'),
      415: problem(`The content type is not ${SDP}, or the offer has no supported codec.`),
    },
  })
  registry.registerPath({
    method: 'options',
    path: endpoint,
    operationId: `ask${name}`,
    tags,
    summary: 'Get ICE servers before the offer',
    description: 'RFC 9725 §4.6. A browser’s preflight needs no token and gets no ICE servers.',
    security,
    request: { params: streamParam },
    responses: {
      204: {
        description: 'No content.',
        headers: z.object({ Link: z.string().optional().describe('STUN and TURN servers for the client.') }),
      },
      400: problem('Invalid stream name.'),
    },
  })
  for (const path of [endpoint, resource]) {
    registry.registerPath({
      method: 'get',
      path,
      operationId: `get${name}${path === endpoint ? 'Endpoint' : 'Session'}`,
      tags,
      summary: path === endpoint ? 'What the endpoint accepts' : 'Whether the session lives',
      security,
      request: { params: path === endpoint ? streamParam : params },
      responses: {
        204: { description: 'No content.' },
        ...(path === resource ? { 404: gone } : { 400: problem('Invalid stream name.') }),
      },
    })
  }
  registry.registerPath({
    method: 'patch',
    path: resource,
    operationId: `patch${name}`,
    tags,
    summary: 'Add ICE candidates, or restart ICE',
    security,
    request: {
      params,
      headers: z.object({ 'If-Match': z.string().describe('The session’s ETag, or `*` to restart ICE.') }),
      body: text(FRAGMENT, 'RFC 8840.'),
    },
    responses: {
      200: bytes('ICE restarts with these credentials.', FRAGMENT),
      204: { description: 'The candidates were accepted.' },
      400: problem('Invalid fragment.'),
      404: gone,
      412: problem('The ETag is not that of the current ICE session.'),
      415: problem(`The content type is not ${FRAGMENT}.`),
      428: problem('If-Match is missing.'),
    },
  })
  registry.registerPath({
    method: 'delete',
    path: resource,
    operationId: `delete${name}`,
    tags,
    summary: 'End the session',
    security,
    request: { params },
    responses: { 200: { description: 'Ended.' }, 404: gone },
  })
}

function describeOut(registry: RouteRegistry): void {
  registry.registerPath({
    method: 'get',
    path: '/out/{stream}.ts',
    operationId: 'getOutTs',
    tags: ['Out'],
    summary: 'Watch the output as MPEG-TS',
    description: 'For ffplay, VLC and OBS: H.264 and Opus.',
    security: needs.viewToken,
    request: { params: streamParam },
    responses: {
      200: bytes('MPEG-TS, until the stream ends.', TS),
      400: problem('Invalid stream name.'),
      429: problem('Too many reads from this address.'),
      404: problem('No such stream.'),
      503: problem('The stream has the maximum number of viewers.'),
    },
  })
  registry.registerPath({
    method: 'get',
    path: '/out/{stream}.jsonl',
    operationId: 'getOutJsonl',
    tags: ['Out'],
    summary: 'Follow the data of the pipeline',
    description:
      'New data of the pipeline: one line of JSON per message, `{ "pts", "data" }`, with the ' +
      'timestamp of its frame in 90 kHz ticks. `lost` is the number of messages that a slow reader missed before this one.',
    security: needs.viewToken,
    request: { params: streamParam },
    responses: {
      200: bytes('Lines of JSON, until the stream ends.', 'application/jsonl'),
      400: problem('Invalid stream name.'),
      429: problem('Too many reads from this address.'),
      404: problem('No such stream.'),
    },
  })
  registry.registerPath({
    method: 'get',
    path: '/out/{stream}.jpg',
    operationId: 'getOutJpeg',
    tags: ['Out'],
    summary: 'The newest output frame',
    security: needs.viewToken,
    request: { params: streamParam },
    responses: {
      200: bytes('A JPEG.', 'image/jpeg'),
      304: { description: 'There is no newer frame than the one in If-None-Match.' },
      400: problem('Invalid stream name.'),
      429: problem('Too many reads from this address.'),
      404: problem('No such stream, or no frame yet.'),
    },
  })
}
