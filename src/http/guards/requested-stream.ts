import type { Context } from 'hono'
import { CHANNEL_OF_STREAM } from '../../stream/registry.ts'

/** Routes whose second path segment is a stream. */
const OF_STREAMS = ['whip', 'whep', 'ingest', 'streams', 'test-pattern', 'test-picture']

/** The stream that a request concerns; undefined if it concerns all streams or the server. */
export function requestedStream(c: Context): string | undefined {
  const [, route = '', second] = c.req.path.split('/')
  if (route === 'params') return c.req.query('stream')
  if (!second) return undefined
  const name = decoded(second)
  if (OF_STREAMS.includes(route)) return name
  if (route === 'recordings') return name?.replace(/-\d{8}T\d{9}Z\.mp4$/, '')
  if (route === 'out') return name?.replace(/\.[^.]+$/, '')
  if (route === 'trickle') return name?.replace(CHANNEL_OF_STREAM, '')
  return undefined
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
