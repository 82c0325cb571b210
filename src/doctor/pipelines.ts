import { AppError } from '../core/errors.ts'
import { type DiscoverOptions, discoverPipelines } from '../pipeline/catalog/catalog.ts'
import { type Finding, fine, missing, warn } from './finding.ts'

/** The pipelines that a server started here would find. Runs no author code. */
export async function checkPipelines(where: DiscoverOptions, wanted: string): Promise<Finding[]> {
  try {
    const { pipelines, rejected } = await discoverPipelines(where)
    const names = [...pipelines.keys()].sort()
    const found = pipelines.has(wanted)
      ? fine('Pipelines', names.join(', '))
      : missing(
          'Pipelines',
          `PIPELINE is "${wanted}", but there are only: ${names.join(', ')}`,
          'install it, or choose one of these',
        )
    const mend = 'fix its package.json (docs/pipeline-sdk.md), or remove it'
    return [found, ...rejected.map(({ where, reason }) => warn('Pipelines', `${where}: ${reason}`, mend))]
  } catch (thrown) {
    return [missing('Pipelines', AppError.from(thrown).message, 'remove one of the two')]
  }
}
