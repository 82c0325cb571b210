import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AppError } from '../../core/errors.ts'
import type { PipelineEntry } from './entry.ts'
import { findDependency, type Rejected, readManifest, readPackage } from './manifest.ts'
import { environmentsIn, findEnvironment, isSameEnvironment, readEnvironment } from './python.ts'

export type Catalog = {
  pipelines: Map<string, PipelineEntry>
  rejected: Rejected[]
}

export type DiscoverOptions = {
  /** The built-in pipelines, a package in each folder. */
  builtinDir?: string
  /** The package the server is started in; it and its dependencies are searched. */
  appDir?: string
  /** Packages put, or installed, there by hand: direct folders, and its `node_modules`. */
  pipelineDir?: string
  /** A Python interpreter, or the folder of a virtual environment, whose packages are searched too. */
  python?: string
}

/**
 * Finds pipelines by the manifests of packages; no author code is imported. Throws `conflict` when two packages declare
 * the same name.
 */
export async function discoverPipelines(options: DiscoverOptions): Promise<Catalog> {
  const catalog: Catalog = { pipelines: new Map(), rejected: [] }
  const root = serverRoot()
  const version = readPackage(root)?.version ?? '0.0.0'
  const seen = new Set<string>()
  for (const directory of candidates(options, catalog.rejected)) {
    const real = realpathSync(directory)
    if (seen.has(real)) continue
    seen.add(real)
    const { entries, rejected } = readManifest(real, version)
    catalog.rejected.push(...rejected)
    for (const entry of entries) add(catalog.pipelines, entry)
  }
  const { python, pipelineDir } = options
  const environments = pipelineDir ? environmentsIn(pipelineDir) : []
  const own = python ? findEnvironment(python) : undefined
  // `PYTHON`, or `VIRTUAL_ENV`, may name one of those in PIPELINE_DIR.
  if (own && !environments.some((one) => isSameEnvironment(one, own))) environments.push(own)
  for (const environment of environments) {
    const { entries, rejected } = readEnvironment(environment)
    catalog.rejected.push(...rejected)
    for (const entry of entries) add(catalog.pipelines, entry)
  }
  return catalog
}

/** The pipeline of that name. Throws `not-found` with the names there are. */
export function findPipeline(catalog: Catalog, name: string): PipelineEntry {
  const entry = catalog.pipelines.get(name)
  if (entry) return entry
  const names = [...catalog.pipelines.keys()].sort()
  throw new AppError('not-found', `there is no pipeline ${name}; there are: ${names.join(', ') || 'none'}`, {
    details: { pipelines: names },
  })
}

function add(pipelines: Map<string, PipelineEntry>, entry: PipelineEntry): void {
  const other = pipelines.get(entry.name)
  if (other) {
    const [a, b] = [other.package, entry.package].map((one) => `${one.name} (${one.directory})`)
    throw new AppError('conflict', `two packages have a pipeline named ${entry.name}: ${a} and ${b}`)
  }
  pipelines.set(entry.name, entry)
}

function* candidates({ builtinDir, appDir, pipelineDir }: DiscoverOptions, rejected: Rejected[]): Generator<string> {
  if (builtinDir) yield* packagesIn(builtinDir)
  if (appDir) {
    if (existsSync(join(appDir, 'package.json'))) yield appDir
    yield* dependencies(appDir, rejected)
  }
  if (pipelineDir) {
    yield* packagesIn(pipelineDir)
    yield* packagesIn(join(pipelineDir, 'node_modules'))
  }
}

/** Direct folders that are packages, and those of one more level for scopes. */
function* packagesIn(directory: string): Generator<string> {
  if (!existsSync(directory)) return
  for (const { name } of readdirSync(directory, { withFileTypes: true })) {
    if (name.startsWith('.') || name === 'node_modules') continue
    const path = join(directory, name)
    if (name.startsWith('@')) yield* packagesIn(path)
    else if (existsSync(join(path, 'package.json'))) yield path
  }
}

function* dependencies(directory: string, rejected: Rejected[]): Generator<string> {
  let names: string[]
  try {
    names = Object.keys(readPackage(directory)?.dependencies ?? {})
  } catch (thrown) {
    rejected.push({ where: directory, reason: (thrown as Error).message })
    return
  }
  for (const name of names) {
    const found = findDependency(directory, name)
    if (found) yield found
  }
}

/** The nearest directory above this file with a `package.json`: that of the server. */
function serverRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'package.json')) && dirname(directory) !== directory)
    directory = dirname(directory)
  return directory
}
