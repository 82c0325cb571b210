import type { IngestSource } from '../../core/media/endpoints.ts'
import type { Context } from '../../core/resource.ts'
import { Publisher } from '../whip/whip.ts'
import { type Endpoint, openClientSession } from './session.ts'

/**
 * Plays from a WHEP endpoint, or from LiveKit's WHIP endpoint. Resolves with its first keyframe; with WHEP also with its
 * audio if that comes within a second. Rejects as `openClientSession` does, and with `timeout` if it cannot be
 * reached or sends nothing that can be decoded.
 */
export async function openWhepSource(
  endpoint: Endpoint,
  context: Context,
  kind: 'whep' | 'livekit' = 'whep',
): Promise<IngestSource> {
  const { agreement, peer } = await openClientSession(endpoint, 'receive', {}, context)
  return await new Publisher(agreement, peer, kind).source
}
