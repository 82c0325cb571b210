import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { env } from 'node:process'
import type { PipelineEntry } from './entry.ts'
import { type Manifest, NAME, type Rejected } from './manifest.ts'
import { findSpecs } from './python-spec.ts'

/** `ai_runner.pipelines` is the group used by packages written for ai-runner; both mean the same. */
export const GROUPS = ['ai_runner.pipelines', 'millrace.pipelines']
const ENTRY = /^([^=\s]+)\s*=\s*([\w.]+)\s*:\s*([\w.]+)\s*$/

export type PythonEnvironment = { interpreter: string; sitePackages: string[] }

/**
 * The environment of `python`: the folder of a virtual environment, or an interpreter by path or by name on PATH.
 * Undefined if there is none, or if its packages cannot be found without running it.
 */
export function findEnvironment(python: string): PythonEnvironment | undefined {
  const interpreter = findInterpreter(python)
  if (!interpreter) return undefined
  const prefix = dirname(dirname(interpreter))
  const sitePackages = [join(prefix, 'lib'), join(prefix, 'local', 'lib')].flatMap(packageFolders)
  return sitePackages.length > 0 ? { interpreter, sitePackages } : undefined
}

/** Whether both hold the same packages, whatever path names them. */
export function isSameEnvironment(a: PythonEnvironment, b: PythonEnvironment): boolean {
  const folders = new Set(a.sitePackages.map((folder) => realpathSync(folder)))
  return b.sitePackages.some((folder) => folders.has(realpathSync(folder)))
}

/** The virtual environments that are direct subfolders of `directory`. */
export function environmentsIn(directory: string): PythonEnvironment[] {
  if (!isFolder(directory)) return []
  return readdirSync(directory)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(directory, name))
    .filter((folder) => existsSync(join(folder, 'pyvenv.cfg')))
    .flatMap((folder) => findEnvironment(folder) ?? [])
}

/** The pipelines that an environment's packages declare, read from their `entry_points.txt`; no Python runs. */
export function readEnvironment({ interpreter, sitePackages }: PythonEnvironment): Manifest {
  const manifest: Manifest = { entries: [], rejected: [] }
  for (const folder of sitePackages) {
    for (const name of readdirSync(folder)) {
      const info = join(folder, name)
      if (name.endsWith('.dist-info')) readDistribution(info, interpreter, manifest)
    }
  }
  return manifest
}

/** The folders of `PYTHONPATH`, which Python searches before its environment; it may name archives too. */
export function pythonPath(): string[] {
  return (env.PYTHONPATH ?? '').split(delimiter).filter((folder) => folder && isFolder(folder))
}

const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

function readDistribution(info: string, interpreter: string, { entries, rejected }: Manifest): void {
  const metadata = readHead(join(info, 'METADATA'))
  const file = join(info, 'entry_points.txt')
  const lines = existsSync(file) ? declarations(readFileSync(file, 'utf8')) : []
  const declared = lines.length > 0 ? lines : findSpecs(info, metadata).map((one) => `${one.name} = ${one.exportName}`)
  if (declared.length === 0) return
  const about = readMetadata(info, metadata)
  for (const line of declared) {
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
      entryFile: lines.length > 0 ? file : join(info, 'RECORD'),
      exportName: `${module}:${object}`,
      interpreter,
      params: {},
      package: { ...about, directory: info },
    }
    // A distribution may name a pipeline in both groups.
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

/** Core metadata (PEP 566): the headers up to the first empty line. */
function readHead(file: string): string {
  return existsSync(file) ? (readFileSync(file, 'utf8').split(/\r?\n\r?\n/)[0] ?? '') : ''
}

function readMetadata(info: string, head: string): { name: string; version: string; description?: string } {
  const field = (name: string) => new RegExp(`^${name}: *(.+)$`, 'im').exec(head)?.[1]?.trim()
  const [name = '', version = '0'] = basename(info, '.dist-info').split('-')
  const description = field('Summary')
  return { name: field('Name') ?? name, version: field('Version') ?? version, ...(description && { description }) }
}

/** Finds an interpreter by its path, its name on PATH, or the folder of a virtual environment. */
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
