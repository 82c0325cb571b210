import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { autoInstall } from '../packages/install.ts'
import { environment, findPipelines, stopSignal } from '../surroundings.ts'

/** `millrace prepare`. */
export function addPrepare(program: Command): void {
  program
    .command('prepare')
    .description('let pipelines download or compile their models, and exit')
    .argument('[name]', 'name of the pipeline (default: all)')
    .action(prepare)
}

/** Also run by `serve` with `PREPARE_MODELS=1`. */
export async function prepare(name: string | undefined): Promise<void> {
  const config = readConfig(environment)
  await autoInstall(config)
  const catalog = await findPipelines(config)
  const { prepareModels } = await import('./models.ts')
  const names = name === undefined ? [...catalog.pipelines.keys()] : [name]
  using stop = stopSignal()
  const options = { modelDir: config.modelDir, output: process.stdout, signal: stop.signal }
  const failed = await prepareModels(catalog, names, options)
  if (failed.length > 0) process.exitCode = 1
}
