// LiveKit access tokens: JSON Web Tokens (RFC 7519), signed with the secret of an API key.
import { SignJWT } from 'jose'

/** An API key of a LiveKit deployment, and its nodes. */
export type LiveKitConfig = {
  /** Origins, http or https; tried in order. */
  urls: readonly string[]
  apiKey: string
  apiSecret: string
}

export type JoinGrant = {
  room: string
  identity: string
  canPublish: boolean
  canSubscribe: boolean
  /** Invisible to other participants. */
  hidden?: boolean
  /** Visible to everybody in the room. */
  attributes?: Record<string, string>
}

/** A session is deleted with the token that opened it, so tokens must outlive sessions. */
const JOIN_LIFETIME = '24h'
const ADMIN_LIFETIME = '10m'
/** Tolerated clock difference. */
const TOLERANCE_SECONDS = 30

export function joinToken(config: LiveKitConfig, grant: JoinGrant): Promise<string> {
  const { room, identity, canPublish, canSubscribe, hidden = false, attributes } = grant
  const video = { room, roomJoin: true, canPublish, canSubscribe, canPublishData: canPublish, hidden }
  return sign(config, JOIN_LIFETIME, { sub: identity, name: identity, video, ...(attributes && { attributes }) })
}

/** For LiveKit's API, restricted to one room. */
export function adminToken(config: LiveKitConfig, room: string): Promise<string> {
  return sign(config, ADMIN_LIFETIME, { video: { room, roomAdmin: true } })
}

function sign({ apiKey, apiSecret }: LiveKitConfig, lifetime: string, claims: Record<string, unknown>) {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(apiKey)
    .setNotBefore(Math.floor(Date.now() / 1000) - TOLERANCE_SECONDS)
    .setExpirationTime(lifetime)
    .sign(new TextEncoder().encode(apiSecret))
}
