import { AppError } from '../../core/errors.ts'
import type { Catalog } from '../../pipeline/catalog/catalog.ts'
import { findChain } from '../../pipeline/catalog/chain-name.ts'
import { preparePipeline } from '../../pipeline/supervision/pool/prepare.ts'
import { type Output, PrepareReport } from './report.ts'

export type PrepareModelsOptions = {
  /** Absolute path. */
  modelDir: string
  output: Output
  /** Interrupts it; downloaded parts are kept and resumed next time. */
  signal: AbortSignal
}

/**
 * Lets pipelines download or compile their models, one after the other, without serving. A failure does not stop the
 * others. Returns the names of those that failed. Throws `not-found` for a name that is not in the catalog.
 */
export async function prepareModels(
  catalog: Catalog,
  names: readonly string[],
  { modelDir, output, signal }: PrepareModelsOptions,
): Promise<string[]> {
  const all = names.flatMap((name) => findChain(catalog, name).map(({ entry }) => entry))
  const entries = [...new Set(all)]
  const report = new PrepareReport(output)
  const failed: string[] = []
  for (const entry of entries) {
    const { name, package: from, params } = entry
    report.say(`${name} (${from.name}@${from.version})`)
    const began = performance.now()
    try {
      await preparePipeline({ entry, params, modelDir }, { log: report.log(), signal })
      if (signal.aborted) throw new AppError('pipeline-failed', 'it was interrupted')
      report.say(`  ready after ${((performance.now() - began) / 1000).toFixed(1)} s`)
    } catch (thrown) {
      failed.push(name)
      report.say(`  failed: ${(thrown as Error).message}`)
      if (signal.aborted) break
    }
  }
  const ready = entries.length - failed.length
  report.say(
    failed.length === 0
      ? `All models are in ${modelDir}; the server needs no network for them.`
      : `${ready} of ${entries.length} pipelines are ready; these are not: ${failed.join(', ')}`,
  )
  return failed
}
