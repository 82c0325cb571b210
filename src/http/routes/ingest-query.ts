import { z } from 'zod'
import { parseJsonObject } from '../../codec/json.ts'
import { AppError } from '../../core/errors.ts'

const Query = z.object({ pipeline: z.string().min(1).optional(), params: z.string().optional() })

/** Publish options in the query of any protocol's URL: `pipeline` and `params` (a JSON object). */
export function publishQuery(query: Record<string, string>): { pipeline?: string; params?: Record<string, unknown> } {
  const { pipeline, params } = Query.parse(query)
  return {
    ...(pipeline !== undefined && { pipeline }),
    ...(params !== undefined && { params: parseJsonObject(params, 'the query "params"') }),
  }
}

/** Largest program_number of MPEG-TS; 0 is the network's own (ISO/IEC 13818-1 §2.4.4.5). */
const MAX_PROGRAM = 65_535

/**
 * Additional option of MPEG-TS publishers: `program`, the number of the program to read.
 * @throws AppError `invalid-request` if it is not such a number.
 */
export function programQuery(query: Record<string, string>): { program?: number } {
  const { program } = query
  if (program === undefined) return {}
  const number = /^\d{1,5}$/.test(program) ? Number(program) : 0
  if (number >= 1 && number <= MAX_PROGRAM) return { program: number }
  const accepted = `a whole number from 1 to ${MAX_PROGRAM}`
  throw new AppError(
    'invalid-request',
    `the query "program" is ${JSON.stringify(program.slice(0, 40))}; it has to be ${accepted}`,
    {
      issues: [{ path: ['program'], message: `has to be ${accepted}` }],
    },
  )
}
