import { AppError, type Issue } from '../../../core/errors.ts'
import type { UpdateMode, Values } from '../../protocol.ts'

/** The part of a chain's params update that concerns one stage. */
export type StageUpdate = { key: string; mode: UpdateMode; value: Values }

/**
 * Splits a chain's params, an object per stage key, into those of each stage; empty for stages that are not named.
 * Throws `invalid-params` for any other name, because params without a stage would be lost silently.
 */
export function splitParams(keys: readonly string[], params: Values): Map<string, Values> {
  const split = new Map<string, Values>(keys.map((key) => [key, {}]))
  const issues: Issue[] = []
  for (const [key, value] of Object.entries(params)) {
    if (!split.has(key)) issues.push({ path: [key], message: `no stage of the chain; accepted: ${keys.join(', ')}` })
    else if (!isObject(value)) issues.push({ path: [key], message: 'must be a JSON object: the params of this stage' })
    else split.set(key, value)
  }
  if (issues.length === 0) return split
  const list = issues.map(({ path, message }) => `${path}: ${message}`).join('; ')
  throw new AppError('invalid-params', `params are not valid: ${list}`, { issues })
}

/** The stages that an update concerns: all for a replace, the named ones for a merge. */
export function splitUpdate(keys: readonly string[], mode: UpdateMode, update: Values): StageUpdate[] {
  // A stage whose params a merge patch removes returns to its own.
  const removed = mode === 'merge' ? Object.keys(update).filter((key) => update[key] === null) : []
  const given = Object.fromEntries(Object.entries(update).filter(([key]) => !removed.includes(key)))
  const split = splitParams(keys, { ...given, ...Object.fromEntries(removed.map((key) => [key, {}])) })
  const named = mode === 'merge' ? keys.filter((key) => Object.hasOwn(update, key)) : keys
  return named.map((key) => ({ key, mode: removed.includes(key) ? 'replace' : mode, value: split.get(key)! }))
}

/** The error of one stage, as the chain reports it. */
export function inStage(key: string, thrown: unknown): AppError {
  const { code, message, retryable, details, issues } = AppError.from(thrown)
  return new AppError(code, `${key}: ${message}`, {
    retryable,
    cause: thrown,
    details: { ...details, stage: key },
    ...(issues && { issues: issues.map((issue) => ({ ...issue, path: [key, ...issue.path] })) }),
  })
}

/** Start of the stage's JSON Pointers (RFC 6901). */
export function pointerTo(key: string): string {
  return `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

function isObject(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
