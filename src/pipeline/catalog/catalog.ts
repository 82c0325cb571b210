import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AppError } from '../../core/errors.ts'
import type { PipelineEntry } from './entry.ts'
import { findDependency, mentionsMillrace, type Rejected, readManifest, readPackage } from './manifest.ts'
import { environmentsIn, findEnvironment, isSameEnvironment, pythonPath, readEnvironment } from './python.ts'
import { workspaceFolders } from './workspace.ts'

export type Catalog = {
  pipelines: Map<string, PipelineEntry>
  rejected: Rejected[]
}

export type DiscoverOptions = {
  /** Folder of the built-in pipelines, a package in each subfolder. */
  builtinDir?: string
  /** The package that the server is started in; it and its dependencies are searched. */
  appDir?: string
  /** Folder of installed or copied packages: its direct subfolders and its `node_modules` are searched. */
  pipelineDir?: string
  /** Pipelines of a package that is run from its sources; they hide others of the same name. */
  own?: PipelineEntry[]
  /** A Python interpreter, or the folder of a virtual environment, whose packages are also searched. */
  python?: string
}

/**
 * Finds pipelines by package manifests; no author code is imported. Throws `conflict` if two packages declare the same
 * name.
 */
export async function discoverPipelines(options: DiscoverOptions): Promise<Catalog> {
  const { own: sources = [] } = options
  const catalog: Catalog = { pipelines: new Map(sources.map((entry) => [entry.name, entry])), rejected: [] }
  const isOwn = ({ name }: PipelineEntry) => sources.some((entry) => entry.name === name)
  const root = serverRoot()
  const version = readPackage(root)?.version ?? '0.0.0'
  const seen = new Set<string>()
  for (const directory of candidates(options, catalog.rejected)) {
    const real = realpathSync(directory)
    if (seen.has(real)) continue
    seen.add(real)
    const { entries, rejected } = readManifest(real, version)
    catalog.rejected.push(...rejected)
    for (const entry of entries) if (!isOwn(entry)) add(catalog.pipelines, entry)
  }
  const { python, pipelineDir } = options
  const environments = pipelineDir ? environmentsIn(pipelineDir) : []
  const own = python ? findEnvironment(python) : undefined
  // `PYTHON` or `VIRTUAL_ENV` may name an environment in PIPELINE_DIR.
  if (own && !environments.some((one) => isSameEnvironment(one, own))) environments.push(own)
  const before = new Set<string>()
  for (const folder of own ? pythonPath() : []) {
    const { entries, rejected } = readEnvironment({ interpreter: own!.interpreter, sitePackages: [folder] })
    catalog.rejected.push(...rejected)
    // Earlier entries hide later ones, here and in the environments, as in Python.
    const visible = entries.filter(({ name }) => !before.has(name))
    for (const entry of visible) add(catalog.pipelines, entry)
    for (const { name } of visible) before.add(name)
  }
  for (const { entries, rejected } of environments.map(readEnvironment)) {
    catalog.rejected.push(...rejected)
    for (const entry of entries) if (!before.has(entry.name)) add(catalog.pipelines, entry)
  }
  return catalog
}

/** The pipeline of that name. Throws `not-found` with the names that exist. */
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
  if (builtinDir) yield* packagesIn(builtinDir, rejected)
  if (appDir) {
    yield* packageAndWhatItHas(appDir, rejected)
    for (const folder of workspace(appDir, rejected)) yield* packageAndWhatItHas(folder, rejected)
  }
  if (pipelineDir) {
    yield* packagesIn(pipelineDir, rejected)
    yield* packagesIn(join(pipelineDir, 'node_modules'), rejected)
  }
}

/**
 * A package, its dependencies wherever they are, and other packages in its `node_modules`, such as those of `npm link`.
 */
function* packageAndWhatItHas(directory: string, rejected: Rejected[]): Generator<string> {
  if (existsSync(join(directory, 'package.json'))) yield directory
  yield* dependencies(directory)
  for (const path of packagesIn(join(directory, 'node_modules'), rejected)) if (mentionsMillrace(path)) yield path
}

/** Direct subfolders that are packages, and one more level for scopes. */
function* packagesIn(directory: string, rejected: Rejected[]): Generator<string> {
  const kind = statSync(directory, { throwIfNoEntry: false })
  if (!kind) return
  if (!kind.isDirectory()) {
    rejected.push({ where: directory, reason: 'it is not a folder' })
    return
  }
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const { name } = entry
    if (name.startsWith('.') || name === 'node_modules') continue
    const path = join(directory, name)
    if (name.startsWith('@')) yield* packagesIn(path, rejected)
    else if (existsSync(join(path, 'package.json'))) yield path
    else if (entry.isSymbolicLink() && !existsSync(path))
      rejected.push({ where: path, reason: 'it is a link to a folder that is not there' })
  }
}

function workspace(directory: string, rejected: Rejected[]): string[] {
  try {
    return workspaceFolders(directory)
  } catch (thrown) {
    rejected.push({ where: directory, reason: `the workspace cannot be read: ${(thrown as Error).message}` })
    return []
  }
}

function* dependencies(directory: string): Generator<string> {
  let names: string[]
  try {
    names = Object.keys(readPackage(directory)?.dependencies ?? {})
  } catch {
    // `readManifest` reports the reason.
    return
  }
  for (const name of names) {
    const found = findDependency(directory, name)
    if (found) yield found
  }
}

/** The nearest directory above this file with a `package.json`: the server's. */
function serverRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'package.json')) && dirname(directory) !== directory)
    directory = dirname(directory)
  return directory
}
