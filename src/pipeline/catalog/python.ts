import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import type { PipelineEntry } from './entry.ts'
import { type Manifest, NAME, type Rejected } from './manifest.ts'

/** `ai_runner.pipelines` is the group of packages written for ai-runner; the other one means the same. */
const GROUPS = ['ai_runner.pipelines', 'millrace.pipelines']
const ENTRY = /^([^=\s]+)\s*=\s*([\w.]+)\s*:\s*([\w.]+)\s*$/

export type PythonEnvironment = { interpreter: string; sitePackages: string[] }

/**
 * The environment of `python`: a virtual environment's folder, an interpreter's path or its name on PATH. Undefined when
 * there is none, or none whose packages can be found without running it.
 */
export function findEnvironment(python: string): PythonEnvironment | undefined {
  const interpreter = findInterpreter(python)
  if (!interpreter) return undefined
  const prefix = dirname(dirname(interpreter))
  const sitePackages = [join(prefix, 'lib'), join(prefix, 'local', 'lib')].flatMap(packageFolders)
  return sitePackages.length > 0 ? { interpreter, sitePackages } : undefined
}

/** True when both hold the same packages, by whatever path they are named. */
export function isSameEnvironment(a: PythonEnvironment, b: PythonEnvironment): boolean {
  const folders = new Set(a.sitePackages.map((folder) => realpathSync(folder)))
  return b.sitePackages.some((folder) => folders.has(realpathSync(folder)))
}

/** The virtual environments that are direct folders of `directory`. */
export function environmentsIn(directory: string): PythonEnvironment[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(directory, name))
    .filter((folder) => existsSync(join(folder, 'pyvenv.cfg')))
    .flatMap((folder) => findEnvironment(folder) ?? [])
}

/** The pipelines that the packages of an environment declare, read from their `entry_points.txt`; no Python runs. */
export function readEnvironment({ interpreter, sitePackages }: PythonEnvironment): Manifest {
  const manifest: Manifest = { entries: [], rejected: [] }
  for (const folder of sitePackages) {
    for (const name of readdirSync(folder)) {
      const info = join(folder, name)
      const file = join(info, 'entry_points.txt')
      if (name.endsWith('.dist-info') && existsSync(file)) readDistribution(info, file, interpreter, manifest)
    }
  }
  return manifest
}

function readDistribution(info: string, file: string, interpreter: string, { entries, rejected }: Manifest): void {
  const about = readMetadata(info)
  for (const line of declarations(readFileSync(file, 'utf8'))) {
    const [, name, module, object] = ENTRY.exec(line) ?? []
    const reason = !name
      ? `entry point ${JSON.stringify(line)} must be name = module:Class`
      : NAME.test(name)
        ? undefined
        : `a pipeline's name must match ${NAME.source}`
    if (!name || reason) {
      rejected.push({ where: `${about.name} in ${info}`, reason: reason ?? '' } satisfies Rejected)
      continue
    }
    const entry: PipelineEntry = {
      name,
      entryFile: file,
      exportName: `${module}:${object}`,
      interpreter,
      params: {},
      package: { ...about, directory: info },
    }
    // One distribution may name a pipeline in both groups.
    if (!entries.some((other) => other.name === name && other.package.directory === info)) entries.push(entry)
  }
}

/** Lines of the groups, without comments. */
function declarations(text: string): string[] {
  const found: string[] = []
  let group = ''
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim()
    const section = /^\[(.+)\]$/.exec(line)?.[1]
    if (section !== undefined) group = section.trim()
    else if (line && !/^[#;]/.test(line) && GROUPS.includes(group)) found.push(line)
  }
  return found
}

/** Core metadata (PEP 566): headers up to the first empty line. */
function readMetadata(info: string): { name: string; version: string; description?: string } {
  const file = join(info, 'METADATA')
  const head = existsSync(file) ? (readFileSync(file, 'utf8').split(/\r?\n\r?\n/)[0] ?? '') : ''
  const field = (name: string) => new RegExp(`^${name}: *(.+)$`, 'im').exec(head)?.[1]?.trim()
  const [name = '', version = '0'] = basename(info, '.dist-info').split('-')
  const description = field('Summary')
  return { name: field('Name') ?? name, version: field('Version') ?? version, ...(description && { description }) }
}

/** A program by its path, its name on PATH, or the folder of a virtual environment. */
export function findInterpreter(python: string): string | undefined {
  const path = process.env.PATH ?? ''
  const files = python.includes('/')
    ? [join(python, 'bin', 'python3'), join(python, 'bin', 'python'), python]
    : path.split(delimiter).map((folder) => join(folder, python))
  return files.find((file) => existsSync(file) && statSync(file).isFile())
}

function packageFolders(lib: string): string[] {
  if (!existsSync(lib)) return []
  return readdirSync(lib)
    .filter((name) => /^python3(\.\d+)?$/.test(name))
    .flatMap((name) => [join(lib, name, 'site-packages'), join(lib, name, 'dist-packages')])
    .filter((folder) => existsSync(folder))
}
