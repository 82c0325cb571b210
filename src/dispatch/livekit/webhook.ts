// LiveKit webhooks: docs.livekit.io, "Webhooks & events"; the token is a JWT (RFC 7519) signed with the API secret.
import { createHash, timingSafeEqual } from 'node:crypto'
import { errors, jwtVerify } from 'jose'
import { z } from 'zod'
import { parseJson } from '../../codec/json.ts'
import { AppError } from '../../core/errors.ts'
import { PROCESSOR } from './rooms.ts'

export type WebhookKey = { apiKey: string; apiSecret: string }

/** In protobuf's JSON, values at their defaults may be omitted. */
const Event = z.object({
  event: z.string().min(1),
  id: z.string().optional(),
  room: z.object({ name: z.string().min(1) }).optional(),
  participant: z
    .object({
      identity: z.string().default(''),
      isPublisher: z.boolean().default(false),
      tracks: z.array(z.unknown()).default([]),
    })
    .optional(),
  track: z.object({ type: z.string().default('AUDIO') }).optional(),
})
export type WebhookEvent = z.infer<typeof Event>

/**
 * The room that may need action; undefined for irrelevant events, such as viewers joining and leaving: there may be
 * thousands, and each check of a room lists them all.
 */
export function concernedRoom({ event, room, participant, track }: WebhookEvent): string | undefined {
  if (event === 'room_finished') return room?.name
  if (event === 'track_published' || event === 'track_unpublished')
    return track?.type === 'VIDEO' ? room?.name : undefined
  if (event !== 'participant_left' && event !== 'participant_connection_aborted') return undefined
  const published = participant?.isPublisher || (participant?.tracks.length ?? 0) > 0
  return published || participant?.identity === PROCESSOR ? room?.name : undefined
}

/** Tolerated clock difference. */
const TOLERANCE_SECONDS = 30

/** @throws AppError `unauthorized` for a bad signature, `invalid-request` for a malformed event. */
export async function readWebhook(
  body: Uint8Array,
  authorization: string | undefined,
  { apiKey, apiSecret }: WebhookKey,
): Promise<WebhookEvent> {
  // LiveKit sends the token without a scheme; some proxies add one.
  const token = authorization?.replace(/^Bearer /i, '')
  if (!token)
    throw new AppError('unauthorized', 'a webhook needs the header Authorization, with the token that LiveKit signs')
  let claimed: unknown
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(apiSecret), {
      algorithms: ['HS256'],
      issuer: apiKey,
      clockTolerance: TOLERANCE_SECONDS,
      requiredClaims: ['exp'],
    })
    claimed = payload.sha256
  } catch (cause) {
    throw new AppError('unauthorized', `the webhook's token is refused: ${reasonOf(cause)}`, { cause })
  }
  const hash = createHash('sha256').update(body).digest()
  const claim = Buffer.from(typeof claimed === 'string' ? claimed : '', 'base64')
  if (claim.length !== hash.length || !timingSafeEqual(claim, hash)) {
    throw new AppError('unauthorized', 'the webhook has another body than its token was signed for')
  }
  const result = Event.safeParse(parseJson(new TextDecoder().decode(body), 'the webhook'))
  if (!result.success) throw new AppError('invalid-request', 'the webhook is no event of LiveKit')
  return result.data
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof errors.JWTExpired) return 'it has expired'
  if (thrown instanceof errors.JWTClaimValidationFailed) return `its claim "${thrown.claim}" is not accepted`
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return 'it was not signed with LIVEKIT_API_SECRET'
  return 'it is no token of LiveKit'
}
