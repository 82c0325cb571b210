import { isChain, plainName } from '../../pipeline/catalog/chain-name.ts'

type Values = Record<string, unknown>

/** The size in a pipeline's params; for a chain, in those of its first stage, which gets the stream's frames. */
export function sizeIn(pipeline: string, params: Values): Partial<{ width: number; height: number }> {
  const { width, height } = ofFirst(pipeline, params)
  return { ...(typeof width === 'number' && { width }), ...(typeof height === 'number' && { height }) }
}

/** The params, with this size if they name none. */
export function withSize(pipeline: string, params: Values, size: Values): Values {
  if (!isChain(pipeline)) return { ...size, ...params }
  const given = params[firstOf(pipeline)]
  // Reported by whoever reads them.
  if (given !== undefined && (typeof given !== 'object' || given === null)) return params
  return { ...params, [firstOf(pipeline)]: { ...size, ...given } }
}

function ofFirst(pipeline: string, params: Values): Values {
  if (!isChain(pipeline)) return params
  const first = params[firstOf(pipeline)]
  return typeof first === 'object' && first !== null ? (first as Values) : {}
}

function firstOf(pipeline: string): string {
  return plainName(pipeline).split(',')[0]!
}
