import { existsSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { AppError } from '../../core/errors.ts'
import type { Context } from '../../core/resource.ts'
import type { PipelineEntry } from './entry.ts'
import { INSTALL_RECORD } from './install.ts'
import { readJson, readManifest } from './manifest.ts'
import { type InstalledPackages, readInstalled, runNpm, writeInstalled } from './npm.ts'

export type NpmInstallOptions = {
  /** In npm's form: a name, optionally with version, range or tag; a folder, a tarball or a git URL. */
  spec: string
  pipelineDir: string
  /** Base of relative paths. */
  appDir: string
  /** The server's version, which the package must support. */
  version: string
}

/** Whether a spec is the folder of a Python package and not of an npm package. */
export function isPythonFolder(spec: string, appDir: string): boolean {
  const path = resolve(appDir, spec)
  return isFolder(path) && existsSync(join(path, 'pyproject.toml')) && !existsSync(join(path, 'package.json'))
}

/**
 * Installs one npm package into PIPELINE_DIR, with its dependencies and without running scripts, and returns its
 * pipelines. Throws `invalid-request` for an invalid spec, and `pipeline-failed` if npm fails or the package has no
 * pipelines for this server; then the previous installation is restored.
 */
export async function installNpm(options: NpmInstallOptions, context: Context): Promise<PipelineEntry[]> {
  const { spec, pipelineDir, appDir, version } = options
  if (spec.startsWith('-') || spec.trim() === '')
    throw new AppError('invalid-request', `${JSON.stringify(spec)} is no package`)
  const argument = argumentOf(spec, appDir)
  const before = readInstalled(pipelineDir)
  writeInstalled(pipelineDir, before)
  try {
    await runNpm('install', [argument], pipelineDir, context)
    const after = readInstalled(pipelineDir)
    const names = broughtBy(argument, pipelineDir, before, after)
    const entries = names.flatMap((name) => pipelinesOf(name, pipelineDir, version))
    writeInstalled(pipelineDir, { ...after, byHand: [...new Set([...before.byHand, ...names])] })
    return entries
  } catch (thrown) {
    await putBack(before, pipelineDir, context).catch((err) =>
      context.log.warn({ err }, 'could not restore the previous installation'),
    )
    throw thrown
  }
}

/**
 * Removes an npm package, by its name or by the name of one of its pipelines, from PIPELINE_DIR. Returns the pipelines
 * removed with it; undefined if there is none.
 */
export async function uninstallNpm(
  name: string,
  { pipelineDir, version }: Pick<NpmInstallOptions, 'pipelineDir' | 'version'>,
  context: Context,
): Promise<string[] | undefined> {
  const { dependencies } = readInstalled(pipelineDir)
  const pipelines = new Map(
    Object.keys(dependencies).map((one) => [
      one,
      readManifest(join(pipelineDir, 'node_modules', one), version).entries.map((entry) => entry.name),
    ]),
  )
  const found = [...pipelines].find(([one, brings]) => one === name || brings.includes(name))
  if (!found) return undefined
  await runNpm('uninstall', [found[0]], pipelineDir, context)
  // Otherwise an automatic install would consider it installed.
  rmSync(join(pipelineDir, INSTALL_RECORD), { force: true })
  return found[1]
}

/** npm has nothing to do if its failure changed nothing. */
async function putBack(before: InstalledPackages, pipelineDir: string, context: Context): Promise<void> {
  const { dependencies: after } = readInstalled(pipelineDir)
  writeInstalled(pipelineDir, before)
  const names = Object.keys({ ...before.dependencies, ...after })
  if (names.every((name) => after[name] === before.dependencies[name])) return
  rmSync(join(pipelineDir, 'package-lock.json'), { force: true })
  await runNpm('prune', [], pipelineDir, context)
  if (Object.keys(before.dependencies).length > 0) await runNpm('install', [], pipelineDir, context)
}

/** Makes paths absolute, because npm runs in another folder. */
function argumentOf(spec: string, appDir: string): string {
  const path = spec.startsWith('file:') ? spec.slice('file:'.length) : spec
  // As npm tells them: a file of its own ending is one without `./` too.
  const isTarball = /\.(tgz|tar\.gz|tar)$/i.test(spec) && !/:|^@|.@/.test(spec)
  if (!/^(\.{1,2}(\/|$)|\/|~\/)/.test(path) && path === spec && !isTarball) return spec
  const file = resolve(appDir, path)
  if (!existsSync(file)) throw new AppError('invalid-request', `${JSON.stringify(spec)} does not exist`)
  if (isFolder(file)) checkFolder(file, spec)
  return file
}

/** npm leaves something of a package without a name behind. */
function checkFolder(folder: string, spec: string): void {
  const refuse = (why: string): never => {
    throw new AppError('invalid-request', `${JSON.stringify(spec)} ${why}`)
  }
  if (!existsSync(join(folder, 'package.json'))) refuse('has no package.json and no pyproject.toml')
  let name: unknown
  try {
    name = (readJson(join(folder, 'package.json')) as { name?: unknown }).name
  } catch (thrown) {
    refuse(`cannot be read: ${(thrown as Error).message}`)
  }
  if (typeof name !== 'string' || name === '') refuse('has no name in its package.json, which npm needs')
}

/** The names of the packages that an npm argument installed. */
function broughtBy(
  argument: string,
  pipelineDir: string,
  { dependencies: before }: InstalledPackages,
  { dependencies: after }: InstalledPackages,
): string[] {
  const changed = Object.keys(after).filter((name) => after[name] !== before[name])
  if (changed.length > 0) return changed
  return Object.entries(after)
    .filter(([name, value]) => {
      const file = value.startsWith('file:') && resolve(pipelineDir, value.slice('file:'.length))
      return argument === name || argument.startsWith(`${name}@`) || argument === file || value.endsWith(argument)
    })
    .map(([name]) => name)
}

function pipelinesOf(name: string, pipelineDir: string, version: string): PipelineEntry[] {
  const { entries, rejected } = readManifest(join(pipelineDir, 'node_modules', name), version)
  if (entries.length > 0) return entries
  const [why] = rejected
  const reason = why ? `${why.where}: ${why.reason}` : 'it has no pipelines'
  throw new AppError('pipeline-failed', `could not install ${name}: ${reason}`)
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory()
}
