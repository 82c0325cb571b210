import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../core/errors.ts'
import type { Context } from '../../core/resource.ts'
import { type InstallSpec, readSpec } from './install-spec.ts'
import { runInstaller } from './installer.ts'
import { readManifest, readPackage } from './manifest.ts'

export type InstallOptions = {
  /** As in `AUTO_INSTALL_PIPELINE`, one each. */
  specs: readonly string[]
  /** Where the packages go, and nowhere else. */
  pipelineDir: string
  /** The folder the server is started in. */
  appDir: string
  /** Of the server, which the packages must fit. */
  version: string
}

const INSTALL_MS = 600_000
/** What is installed, so that a start without a network finds it done. */
const RECORD = '.installed.json'

/**
 * Installs packages with npm into a folder of their own, before pipelines are looked for. All specs are checked before
 * npm is called, and it runs no script of any package. Throws `invalid-request` for a spec that is not accepted and
 * `pipeline-failed` when npm
 * fails or a package has no pipelines for this server; the start of the server ends there.
 */
export async function installPipelines(options: InstallOptions, context: Context): Promise<void> {
  const { specs, pipelineDir, appDir, version } = options
  const checked = specs.map((spec) => readSpec(spec, [appDir, pipelineDir]))
  if (checked.length === 0) return
  const record = JSON.stringify(checked.map(fingerprint))
  const recordFile = join(pipelineDir, RECORD)
  if (existsSync(recordFile) && readFileSync(recordFile, 'utf8') === record) {
    context.log.info({ specs, pipelineDir }, 'pipelines are installed')
    return
  }
  mkdirSync(pipelineDir, { recursive: true })
  rmSync(recordFile, { force: true })
  // With a package of its own npm does not look for one further up, and install there.
  const manifest = { name: 'millrace-installed-pipelines', version: '1.0.0', private: true, dependencies: {} }
  writeFileSync(join(pipelineDir, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  rmSync(join(pipelineDir, 'package-lock.json'), { force: true })
  context.log.info({ specs, pipelineDir }, 'installing pipelines')
  await runNpm(
    checked.map(({ argument }) => argument),
    pipelineDir,
    context,
  )
  checkInstalled(pipelineDir, version)
  writeFileSync(recordFile, record)
}

/** What was asked for must bring pipelines that can be used. */
function checkInstalled(pipelineDir: string, version: string): void {
  for (const name of Object.keys(readPackage(pipelineDir)?.dependencies ?? {})) {
    const { entries, rejected } = readManifest(join(pipelineDir, 'node_modules', name), version)
    if (entries.length > 0) continue
    const [why] = rejected
    const reason = why ? `${why.where}: ${why.reason}` : 'it has no pipelines'
    throw new AppError('pipeline-failed', `could not install ${name}: ${reason}`)
  }
}

async function runNpm(args: string[], pipelineDir: string, context: Context): Promise<void> {
  const place = ['--prefix', pipelineDir, '--global=false', '--workspaces=false']
  const options = ['--ignore-scripts', '--save-exact', '--omit=dev', '--no-audit', '--no-fund', '--no-update-notifier']
  // The server is each pipeline's peer, and is here already; npm would fetch another one.
  const peers = ['--legacy-peer-deps']
  await runInstaller(
    {
      what: args.join(', '),
      command: 'npm',
      args: ['install', ...place, ...options, ...peers, '--', ...args],
      cwd: pipelineDir,
      limitMs: INSTALL_MS,
      isReason: /^npm (error|ERR!)/,
    },
    context,
  )
}

/** A tarball may be replaced by another one of the same name. */
function fingerprint({ kind, argument }: InstallSpec): string[] {
  if (kind !== 'tarball') return [kind, argument]
  return [kind, argument, createHash('sha256').update(readFileSync(argument)).digest('hex')]
}
