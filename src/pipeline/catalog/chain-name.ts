import { AppError } from '../../core/errors.ts'
import { type Catalog, findPipeline } from './catalog.ts'
import type { PipelineEntry } from './entry.ts'

/** Each is a process. */
const MAX_STAGES = 8

/** One stage of a chain; a single pipeline is a chain of one. */
export type ChainPart = {
  /** Key of its params, status and metrics: the pipeline's name, with a number if it is repeated. */
  key: string
  entry: PipelineEntry
}

/** True for `redact,effects`: frames go through one after the other. */
export function isChain(name: string): boolean {
  return name.includes(',')
}

/** Makes `redact, effects` and `redact,effects` the same. */
export function plainName(name: string): string {
  return name
    .split(',')
    .map((part) => part.trim())
    .join(',')
}

/** Throws `not-found` with the names that exist, and `invalid-request` if it names no chain. */
export function findChain(catalog: Catalog, name: string): ChainPart[] {
  const names = plainName(name).split(',')
  if (names.length > 1 && names.includes('')) {
    const accepted = 'names of pipelines with one comma between two of them, as in redact,effects'
    throw new AppError(
      'invalid-request',
      `${JSON.stringify(name)} is not a chain of pipelines; accepted are ${accepted}`,
    )
  }
  if (names.length > MAX_STAGES)
    throw new AppError('invalid-request', `a chain has at most ${MAX_STAGES} pipelines, not ${names.length}`)
  const entries = names.map((one) => findPipeline(catalog, one))
  const taken = new Set(names)
  return entries.map((entry, at) => {
    if (names.indexOf(entry.name) === at) return { key: entry.name, entry }
    let number = 2
    while (taken.has(`${entry.name}-${number}`)) number++
    const key = `${entry.name}-${number}`
    taken.add(key)
    return { key, entry }
  })
}
