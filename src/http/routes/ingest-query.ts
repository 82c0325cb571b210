import { z } from 'zod'
import { AppError } from '../../core/errors.ts'

const Query = z.object({ pipeline: z.string().min(1).optional(), params: z.string().optional() })

/** What a publisher may say in the query of its URL, whatever its protocol: `pipeline` and `params` (a JSON object). */
export function publishQuery(query: Record<string, string>): { pipeline?: string; params?: Record<string, unknown> } {
  const { pipeline, params } = Query.parse(query)
  return { ...(pipeline !== undefined && { pipeline }), ...(params !== undefined && { params: parseObject(params) }) }
}

function parseObject(json: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new AppError('invalid-request', `the query "params" is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new AppError('invalid-request', 'the query "params" must be a JSON object, such as {"effect":"invert"}')
  }
  return value as Record<string, unknown>
}
