import { AppError } from '../core/errors.ts'
import { type Catalog, findPipeline } from '../pipeline/catalog/catalog.ts'
import { preparePipeline } from '../pipeline/supervision/prepare.ts'
import { type Output, PrepareReport } from './prepare-report.ts'

export type PrepareModelsOptions = {
  /** Absolute path. */
  modelDir: string
  output: Output
  /** Breaks it off; what was downloaded is kept and gone on with the next time. */
  signal: AbortSignal
}

/**
 * Lets pipelines fetch or compile their models, one after the other; nothing is served. One that fails does not hold up
 * the others. Returns the names of those that failed. Throws `not-found` for a name that is not in the catalog.
 */
export async function prepareModels(
  catalog: Catalog,
  names: readonly string[],
  { modelDir, output, signal }: PrepareModelsOptions,
): Promise<string[]> {
  const entries = names.map((name) => findPipeline(catalog, name))
  const report = new PrepareReport(output)
  const failed: string[] = []
  for (const entry of entries) {
    const { name, package: from, params } = entry
    report.say(`${name} (${from.name}@${from.version})`)
    const began = performance.now()
    try {
      await preparePipeline({ entry, params, modelDir }, { log: report.log(), signal })
      if (signal.aborted) throw new AppError('pipeline-failed', 'it was broken off')
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
