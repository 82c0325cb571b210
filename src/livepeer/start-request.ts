import { z } from '@hono/zod-openapi'

/** Absent, null and empty mean the same on the wire. */
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '')
const params = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform((value) => value ?? {})

const common = {
  subscribe_url: z.string().describe('Trickle channel of the input.'),
  publish_url: z.string().describe('Trickle channel of the output.'),
  control_url: text,
  events_url: text,
  params,
  manifest_id: text,
  stream_id: text,
}

/** Body of `POST /live-video-to-video`; contract §3.2. */
export const OuterStart = z
  .object({ ...common, model_id: text, gateway_request_id: text })
  .openapi('LiveVideoToVideoRequest')

/** The same within a session of the live-runner registry; channels are created here unless named. */
export const SessionStart = OuterStart.extend({ subscribe_url: text, publish_url: text })

/** Body of `POST /api/live-video-to-video`; contract §3.3. */
export const InnerStart = z.object({ ...common, request_id: text })

/** A start, from either API. */
export type StartRequest = {
  subscribeUrl: string
  publishUrl: string
  /** Empty if there is none. */
  controlUrl: string
  eventsUrl: string
  params: Record<string, unknown>
  requestId: string
  manifestId: string
  streamId: string
}

export function startRequest(body: z.output<typeof SessionStart> | z.output<typeof InnerStart>): StartRequest {
  return {
    subscribeUrl: body.subscribe_url,
    publishUrl: body.publish_url,
    controlUrl: body.control_url,
    eventsUrl: body.events_url,
    params: body.params,
    requestId: 'request_id' in body ? body.request_id : body.gateway_request_id,
    manifestId: body.manifest_id,
    streamId: body.stream_id,
  }
}
