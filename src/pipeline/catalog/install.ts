import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../core/errors.ts'
import type { Context } from '../../core/resource.ts'
import { type InstallSpec, readSpec } from './install-spec.ts'
import { readManifest } from './manifest.ts'
import { readInstalled, runNpm, writeInstalled } from './npm.ts'

export type InstallOptions = {
  /** As in `AUTO_INSTALL_PIPELINE`, one spec each. */
  specs: readonly string[]
  /** The only folder that packages are written to. */
  pipelineDir: string
  /** The folder that the server is started in. */
  appDir: string
  /** The server's version, which the packages must support. */
  version: string
}

/** Records what is installed, so that a start without network needs no npm. */
export const INSTALL_RECORD = '.installed.json'

/**
 * Installs packages with npm into their own folder, before pipelines are discovered. All specs are checked before npm
 * is called, and no package script runs. Throws `invalid-request` for a spec that is not accepted, and
 * `pipeline-failed` if npm fails or a package has no pipelines for this server; the server then does not start.
 */
export async function installPipelines(options: InstallOptions, context: Context): Promise<void> {
  const { specs, pipelineDir, appDir, version } = options
  const checked = specs.map((spec) => readSpec(spec, [appDir, pipelineDir]))
  if (checked.length === 0) return
  const record = JSON.stringify(checked.map(fingerprint))
  const recordFile = join(pipelineDir, INSTALL_RECORD)
  if (existsSync(recordFile) && readFileSync(recordFile, 'utf8') === record) {
    context.log.info({ specs, pipelineDir }, 'pipelines are installed')
    return
  }
  const { dependencies, byHand } = readInstalled(pipelineDir)
  const kept = Object.fromEntries(Object.entries(dependencies).filter(([name]) => byHand.includes(name)))
  writeInstalled(pipelineDir, { dependencies: kept, byHand })
  rmSync(recordFile, { force: true })
  rmSync(join(pipelineDir, 'package-lock.json'), { force: true })
  context.log.info({ specs, pipelineDir }, 'installing pipelines')
  // Packages of removed specs would be found too.
  if (existsSync(join(pipelineDir, 'node_modules'))) await runNpm('prune', [], pipelineDir, context)
  await runNpm(
    'install',
    checked.map(({ argument }) => argument),
    pipelineDir,
    context,
  )
  checkInstalled(pipelineDir, version)
  writeFileSync(recordFile, record)
}

/** Requires usable pipelines from everything that was requested. */
function checkInstalled(pipelineDir: string, version: string): void {
  for (const name of Object.keys(readInstalled(pipelineDir).dependencies)) {
    const { entries, rejected } = readManifest(join(pipelineDir, 'node_modules', name), version)
    if (entries.length > 0) continue
    const [why] = rejected
    const reason = why ? `${why.where}: ${why.reason}` : 'it has no pipelines'
    throw new AppError('pipeline-failed', `could not install ${name}: ${reason}`)
  }
}

/** Includes a tarball's contents, because it may be replaced under the same name. */
function fingerprint({ kind, argument }: InstallSpec): string[] {
  if (kind !== 'tarball') return [kind, argument]
  return [kind, argument, createHash('sha256').update(readFileSync(argument)).digest('hex')]
}
