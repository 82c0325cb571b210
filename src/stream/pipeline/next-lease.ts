import { AppError } from '../../core/errors.ts'
import type { Context } from '../../core/resource.ts'
import { isChain } from '../../pipeline/catalog/chain-name.ts'
import type { LeaseOptions, PipelineLease, PipelinePool } from '../../pipeline/supervision/pool/pool.ts'

type Values = Record<string, unknown>

/** Each attempt starts a runner. */
const MAX_TRIES = 5

/**
 * Leases with as many of these params as the schema accepts; those it refuses are left out. Rejects like a lease for
 * any other reason.
 */
export async function leaseWithFitting(
  pool: PipelinePool,
  options: LeaseOptions & { params: Values },
  context: Context,
): Promise<PipelineLease> {
  let params = options.params
  for (let tries = 1; ; tries++) {
    try {
      return await pool.lease({ ...options, params }, context)
    } catch (thrown) {
      const depth = isChain(options.pipeline ?? '') ? 2 : 1
      const fitting = tries < MAX_TRIES ? withoutRefused(params, AppError.from(thrown), depth) : undefined
      if (!fitting) throw thrown
      params = fitting
    }
  }
}

/** Applies as many of these params as the pipeline accepts. */
export async function updateWithFitting(lease: PipelineLease, given: Values): Promise<void> {
  let params = given
  for (let tries = 1; ; tries++) {
    try {
      await lease.updateParams('replace', params)
      return
    } catch (thrown) {
      const depth = lease.stages.length > 0 ? 2 : 1
      const fitting = tries < MAX_TRIES ? withoutRefused(params, AppError.from(thrown), depth) : undefined
      if (!fitting) throw thrown
      params = fitting
    }
  }
}

/**
 * `depth` of a param's name: in a chain they are below the names of the stages. Undefined if no param can be left out.
 */
function withoutRefused(params: Values, { code, issues = [] }: AppError, depth: number): Values | undefined {
  if (code !== 'invalid-params') return undefined
  let removed = false
  const without = (values: Values, paths: (string | number)[][], left: number): Values =>
    Object.fromEntries(
      Object.entries(values).flatMap(([name, value]) => {
        const below = paths.filter(([first]) => String(first) === name).map(([, ...rest]) => rest)
        if (below.length === 0) return [[name, value]]
        if (left > 1 && below.every(({ length }) => length > 0))
          return [[name, without(value as Values, below, left - 1)]]
        removed = true
        return []
      }),
    )
  const fitting = without(
    params,
    issues.map(({ path }) => path),
    depth,
  )
  return removed ? fitting : undefined
}

/**
 * Resolves when the pipeline has loaded. Rejects with the first failure, although the supervisor would retry, and with
 * the signal's reason.
 */
export async function loaded(lease: PipelineLease, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const look = () => {
    const { phase, text } = lease.status
    if (phase === 'ready') resolve()
    else if (phase === 'failed') reject(new AppError('pipeline-failed', text))
  }
  const listening = [lease.events.on('status', look), onFailure(lease, reject)]
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  look()
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
    for (const off of listening) off()
  }
}

/** Calls `fail` when the runner ends. Returns a function that stops listening. */
export function onFailure(lease: PipelineLease, fail: (error: AppError) => void): () => void {
  return lease.events.on('restart', ({ error }) => fail(error))
}
