import { z } from 'zod'
import { AppError } from '../../core/errors.ts'

/** A runner's report to an orchestrator; contract §5.5. */
export type HeartbeatBody = {
  runner_id?: string
  runner_url: string
  app: string
  version: string
  mode: 'persistent'
  /** With any value but `ready` the runner is not selected. */
  status: 'ready' | 'busy'
  /** Sessions at once, including current ones; 0 would be taken for 1. */
  capacity: number
  price_info: { price: number; currency: string; unit: string }
  session_ids: string[]
  gpu?: { id: string; name: string; vram_mb: number }
}

const Channel = z.object({
  name: z.string(),
  url: z.string(),
  /** For clients on the orchestrator's own network. */
  internal_url: z.string().optional(),
})
export type OrchestratorChannel = z.output<typeof Channel>

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** A Go duration such as `5s` or `1m30s`, in milliseconds. */
const duration = z.string().transform((text, context) => {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    context.addIssue({ code: 'custom', message: `"${text}" is no duration` })
    return z.NEVER
  }
  return parts.reduce((sum, [, amount, unit = '']) => sum + Number(amount) * (UNIT_MS[unit] ?? 0), 0)
})

const Reply = z.object({
  runner_id: z.string().min(1),
  /** Where to send further heartbeats. */
  orchestrator: z.string().optional(),
  heartbeat_interval: duration.default(5000),
  /** In the first reply only. */
  heartbeat_secret: z.string().optional(),
  /** Channel that announces reservations; in the first reply only. */
  o2r: Channel.nullish(),
  /** Sessions that are reserved on this runner. */
  session_ids: z.array(z.string()).nullish(),
})
export type HeartbeatReply = z.output<typeof Reply>

const Channels = z.object({ channels: z.array(Channel) })

export const SessionEvent = z.object({ event: z.enum(['reserved', 'released']), session: z.string().min(1) })

export function readHeartbeatReply(text: string): HeartbeatReply {
  return read(Reply, text)
}

export function readChannels(text: string): OrchestratorChannel[] {
  return read(Channels, text).channels
}

/** @throws AppError `trickle-failed` if it does not match the contract. */
function read<T extends z.ZodType>(schema: T, text: string): z.output<T> {
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw new AppError('trickle-failed', `the orchestrator's response is not valid: ${text.slice(0, 200)}`, {
      cause,
    })
  }
}
