import { isDeepStrictEqual } from 'node:util'
import { mergePatch } from '../../../codec/merge-patch.ts'
import { AppError } from '../../../core/errors.ts'
import { type ChainPart, findChain, plainName } from '../../catalog/chain-name.ts'
import type { Values } from '../../protocol.ts'
import { splitParams } from '../chain/params.ts'
import type { Kind } from './idle-runners.ts'
import type { PoolOptions } from './options.ts'

/** A pipeline or a stage of a chain, with its initial params. */
export type Stage = ChainPart & Kind

/** The stages of a name. The operator's params apply to the default pipeline. Throws `not-found`. */
export function stagesOf(
  name: string | undefined,
  { catalog, defaultPipeline, defaultParams }: Pick<PoolOptions, 'catalog' | 'defaultPipeline' | 'defaultParams'>,
): Stage[] {
  const parts = findChain(catalog, name ?? defaultPipeline)
  const isDefault = plainName(name ?? defaultPipeline) === plainName(defaultPipeline)
  const params = isDefault ? defaultParams : {}
  const [only] = parts
  if (only && parts.length === 1) return [withParams(only, params)]
  const split = splitParams(keysOf(parts), params)
  return parts.map((part) => withParams(part, split.get(part.key)!))
}

export function keysOf(parts: readonly ChainPart[]): string[] {
  return parts.map(({ key }) => key)
}

/** Throws `invalid-request` if the default params of a chain do not match its stages. */
export function checkParts(parts: readonly ChainPart[], params: Values): void {
  try {
    splitParams(keysOf(parts), params)
  } catch (thrown) {
    const { message, issues } = AppError.from(thrown)
    throw new AppError('invalid-request', `PIPELINE_PARAMS: ${message}`, { ...(issues && { issues }) })
  }
}

export function isSameKind(a: Kind, b: Kind): boolean {
  return a.entry.name === b.entry.name && isDeepStrictEqual(a.initial, b.initial)
}

function withParams(part: ChainPart, params: Values): Stage {
  return { ...part, initial: mergePatch(part.entry.params, params) as Values }
}
