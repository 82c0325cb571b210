import { createHmac } from 'node:crypto'
import type { IceServer } from './agent.ts'

/** A session may last longer: a TURN server checks the time only when an allocation begins. */
const VALID_SECONDS = 24 * 60 * 60

export const isTurnUrl = (url: string): boolean => /^turns?:/i.test(url)

/**
 * Adds a credential to each TURN server that has none: user name `expiry:millrace` and its HMAC-SHA1, as for coturn's
 * `use-auth-secret` (draft-uberti-behave-turn-rest-00). `now` is in milliseconds since 1970.
 */
export function withTurnCredentials(
  servers: readonly IceServer[],
  secret: string | undefined,
  now = Date.now(),
): readonly IceServer[] {
  if (secret === undefined) return servers
  const username = `${Math.floor(now / 1000) + VALID_SECONDS}:millrace`
  const credential = createHmac('sha1', secret).update(username).digest('base64')
  return servers.map((server) => {
    const isTurn = [server.urls].flat().some(isTurnUrl)
    return isTurn && server.credential === undefined ? { ...server, username, credential } : server
  })
}
