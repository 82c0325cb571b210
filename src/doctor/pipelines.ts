import { AppError } from '../core/errors.ts'
import { type DiscoverOptions, discoverPipelines } from '../pipeline/catalog/catalog.ts'
import { type Finding, fine, missing, warn } from './finding.ts'

/** What a server started here would find. No author code is run. */
export async function checkPipelines(where: DiscoverOptions, wanted: string): Promise<Finding[]> {
  try {
    const { pipelines, rejected } = await discoverPipelines(where)
    const names = [...pipelines.keys()].sort()
    const found = pipelines.has(wanted)
      ? fine('Pipelines', names.join(', '))
      : missing(
          'Pipelines',
          `PIPELINE is "${wanted}", but there are only: ${names.join(', ')}`,
          'install it, or name one',
        )
    const mend = 'mend its package.json as docs/pipeline-sdk.md says, or take it away'
    return [found, ...rejected.map(({ where, reason }) => warn('Pipelines', `${where}: ${reason}`, mend))]
  } catch (thrown) {
    return [missing('Pipelines', AppError.from(thrown).message, 'take one of the two away')]
  }
}
