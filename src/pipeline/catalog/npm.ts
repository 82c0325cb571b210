import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../core/errors.ts'
import type { Context } from '../../core/resource.ts'
import { runInstaller } from './installer.ts'
import { readJson } from './manifest.ts'

const NPM_MS = 600_000

/** The `package.json` of PIPELINE_DIR, which npm maintains. */
export type InstalledPackages = {
  dependencies: Record<string, string>
  /** Packages installed by `millrace install`; an automatic install keeps them. */
  byHand: string[]
}

/** Empty if there is none. */
export function readInstalled(pipelineDir: string): InstalledPackages {
  const file = join(pipelineDir, 'package.json')
  if (!existsSync(file)) return { dependencies: {}, byHand: [] }
  let installed: Partial<InstalledPackages>
  try {
    installed = readJson(file) as Partial<InstalledPackages>
  } catch (thrown) {
    throw new AppError('pipeline-failed', `${file}, which npm keeps, cannot be read: ${(thrown as Error).message}`)
  }
  const { dependencies = {}, byHand = [] } = installed
  return { dependencies, byHand: byHand.filter((name) => name in dependencies) }
}

/** Throws `invalid-request` if the folder cannot be made. */
export function makePipelineDir(pipelineDir: string): void {
  try {
    mkdirSync(pipelineDir, { recursive: true })
  } catch (thrown) {
    throw new AppError('invalid-request', `PIPELINE_DIR ${pipelineDir} cannot be made: ${(thrown as Error).message}`)
  }
}

/** Without a package file here, npm would look for one further up and install there. */
export function writeInstalled(pipelineDir: string, { dependencies, byHand }: InstalledPackages): void {
  makePipelineDir(pipelineDir)
  const manifest = { name: 'millrace-installed-pipelines', version: '1.0.0', private: true, dependencies, byHand }
  writeFileSync(join(pipelineDir, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

/** Runs npm in PIPELINE_DIR only, without package scripts. Throws `pipeline-failed` with npm's error. */
export async function runNpm(
  command: 'install' | 'uninstall' | 'prune',
  packages: readonly string[],
  pipelineDir: string,
  context: Context,
): Promise<void> {
  const place = ['--prefix', pipelineDir, '--global=false', '--workspaces=false', '--install-links']
  const options = ['--ignore-scripts', '--save-exact', '--omit=dev', '--no-audit', '--no-fund', '--no-update-notifier']
  // Millrace is a peer dependency of each pipeline and is already here; npm would install another copy.
  const peers = ['--legacy-peer-deps']
  await runInstaller(
    {
      what: packages.join(', ') || 'packages',
      command: 'npm',
      args: [command, ...place, ...options, ...peers, '--', ...packages],
      cwd: pipelineDir,
      limitMs: NPM_MS,
      isReason: /^npm (error|ERR!)/,
    },
    context,
  )
}
