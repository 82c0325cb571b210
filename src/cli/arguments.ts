import { InvalidArgumentError } from 'commander'
import { parseJsonObject } from '../codec/json.ts'
import { mergePatch } from '../codec/merge-patch.ts'
import { AppError } from '../core/errors.ts'
import type { Catalog } from '../pipeline/catalog/catalog.ts'
import { findChain } from '../pipeline/catalog/chain-name.ts'
import type { Values } from '../pipeline/protocol.ts'
import { splitParams } from '../pipeline/supervision/chain/params.ts'
import type { CliStage } from './stepper-chain.ts'

/** Exit code after an interruption. */
export const BROKEN_OFF = 130

/** A pipeline or the stages of a chain, with initial params. @throws AppError `invalid-request` */
export function stagesOf(catalog: Catalog, name: string, params: string | undefined): CliStage[] {
  return asked(() => {
    const parts = findChain(catalog, name)
    const given = params === undefined ? {} : parseJsonObject(params, '--params')
    const keys = parts.map(({ key }) => key)
    const split = parts.length > 1 ? splitParams(keys, given) : new Map([[keys[0], given]])
    return parts.map(({ key, entry }) => ({ key, entry, params: mergePatch(entry.params, split.get(key)) as Values }))
  })
}

/** Turns errors about names into errors about the command line. */
function asked<T>(act: () => T): T {
  try {
    return act()
  } catch (thrown) {
    const { message, issues } = AppError.from(thrown)
    throw new AppError('invalid-request', message, { cause: thrown, ...(issues && { issues }) })
  }
}

export function seconds(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && value >= least && value <= most) return value
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`
    throw new InvalidArgumentError(`accepted is a number ${range}.`)
  }
}

/** Frames per second; files with time stamps in milliseconds hold no more. */
export const MAX_RATE = 1000
