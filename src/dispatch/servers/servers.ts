import { z } from 'zod'
import type { Placement, Placements } from '../../stream/remote/placements.ts'

/** The body of `POST /streams`. */
export type Order = {
  name: string
  input: { type: 'livekit'; room: string; participant: string; track: string }
  pipeline?: string
  params?: Record<string, unknown>
}

export type StartOutcome =
  /** Its media flows. */
  | { kind: 'started' }
  /** A stream of that name runs or is starting there. */
  | { kind: 'there' }
  /** 503: all places are taken, or the server drains. */
  | { kind: 'full' }
  /** The server refuses the request, and so would any other. */
  | { kind: 'rejected'; why: string }
  /** It failed, possibly for a reason of its own. */
  | { kind: 'failed'; why: string }

/** How servers are reached. A simulation replaces it. */
export type ServerTransport = {
  /** The current servers, ready or not. */
  resolve(signal: AbortSignal): Promise<string[]>
  /** Calls `hear` with each line that a server reports; resolves when the connection ends. */
  listen(server: string, hear: (line: unknown) => void, signal: AbortSignal): Promise<void>
  start(server: string, order: Order, signal: AbortSignal): Promise<StartOutcome>
  end(server: string, stream: string, signal: AbortSignal): Promise<void>
}

/** One server's placement for one room. */
export type Holder = Placement & { server: string; draining: boolean }

const PlacementLine = z.object({
  stream: z.string(),
  room: z.string(),
  participant: z.string(),
  track: z.string(),
  startedAt: z.number(),
  onAir: z.boolean(),
  aired: z.boolean(),
  sid: z.string().optional(),
  stalled: z.boolean(),
  pipeline: z.string(),
  params: z.record(z.string(), z.unknown()).optional(),
})
const Line = z.object({ draining: z.boolean(), free: z.number(), streams: z.array(PlacementLine) })

/** The content of a line; undefined for a mere heartbeat. */
export function readLine(line: unknown): Placements | undefined {
  if (line === null || typeof line !== 'object' || !('streams' in line)) return undefined
  const result = Line.safeParse(line)
  return result.success ? (result.data as Placements) : undefined
}
