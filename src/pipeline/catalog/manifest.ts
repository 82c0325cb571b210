import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import semver from 'semver'
import { z } from 'zod'
import type { PipelineEntry } from './entry.ts'

export const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

const Declared = z.union([
  z.string(),
  z.strictObject({
    entry: z.string(),
    params: z.record(z.string(), z.unknown()).default({}),
    presets: z.record(z.string().trim().min(1).max(60), z.record(z.string(), z.unknown())).default({}),
  }),
])

const PackageJson = z.object({
  /** In an empty folder, npm writes no name. */
  name: z.string().optional(),
  version: z.string().default('0.0.0'),
  description: z.string().optional(),
  peerDependencies: z.record(z.string(), z.string()).default({}),
  dependencies: z.record(z.string(), z.string()).default({}),
  millrace: z.looseObject({ pipelines: z.record(z.string(), z.unknown()) }).optional(),
})
export type PackageJson = z.infer<typeof PackageJson> & { name: string }

export type Rejected = {
  /** The package's directory, with the pipeline's name if known. */
  where: string
  reason: string
}

export type Manifest = { entries: PipelineEntry[]; rejected: Rejected[] }

/**
 * A directory's `package.json`; the directory's name stands in for a missing name. Undefined if there is none; an error
 * with the reason if it is invalid.
 */
export function readPackage(directory: string): PackageJson | undefined {
  const file = join(directory, 'package.json')
  if (!existsSync(file)) return undefined
  const parsed = PackageJson.safeParse(readJson(file))
  if (parsed.success) return { ...parsed.data, name: parsed.data.name ?? basename(directory) }
  const [issue] = parsed.error.issues
  throw new Error(`package.json: ${issue?.path.join('.')}: ${issue?.message}`)
}

/** npm takes a byte order mark too. */
export function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, ''))
  } catch (thrown) {
    throw new Error(`package.json: ${(thrown as Error).message}`)
  }
}

/** Whether a directory's `package.json` mentions Millrace, valid or not; true if it cannot be read. */
export function mentionsMillrace(directory: string): boolean {
  try {
    return readFileSync(join(directory, 'package.json'), 'utf8').includes('"millrace"')
  } catch {
    return true
  }
}

/**
 * The pipelines that a package declares under `millrace.pipelines`; empty if it declares none. Invalid entries are
 * returned as rejected, with the reason. No package code runs. `find` may substitute another file for an entry's.
 */
export function readManifest(directory: string, serverVersion: string, find = (file: string) => file): Manifest {
  const rejected: Rejected[] = []
  const entries: PipelineEntry[] = []
  let json: PackageJson | undefined
  try {
    json = readPackage(directory)
  } catch (thrown) {
    return { entries, rejected: [{ where: directory, reason: (thrown as Error).message }] }
  }
  if (!json?.millrace) return { entries, rejected }
  const range = json.peerDependencies.millrace
  if (range !== undefined && !semver.satisfies(serverVersion, range, { includePrerelease: true })) {
    const reason = semver.validRange(range)
      ? `needs millrace ${range}, this is ${serverVersion}`
      : `peerDependencies.millrace is not a version range: ${range}`
    return { entries, rejected: [{ where: `${json.name} in ${directory}`, reason }] }
  }
  for (const key of Object.keys(json.millrace).filter((key) => key !== 'pipelines'))
    rejected.push({ where: `millrace.${key} of ${json.name} in ${directory}`, reason: 'unknown key; known: pipelines' })
  for (const [name, declared] of Object.entries(json.millrace.pipelines)) {
    try {
      entries.push(readEntry(name, declared, directory, json, find))
    } catch (thrown) {
      rejected.push({ where: `${name} of ${json.name} in ${directory}`, reason: (thrown as Error).message })
    }
  }
  return { entries, rejected }
}

function readEntry(
  name: string,
  declared: unknown,
  directory: string,
  json: PackageJson,
  find: (file: string) => string,
): PipelineEntry {
  if (!NAME.test(name)) throw new Error(`a pipeline's name must match ${NAME.source}`)
  const parsed = Declared.safeParse(declared)
  if (!parsed.success)
    throw new Error(
      'must be "./file.js#Export" or { "entry": "./file.js#Export", "params": { … }, "presets": { "Name": { … } } }',
    )
  const { data } = parsed
  const { entry, params, presets } = typeof data === 'string' ? { entry: data, params: {}, presets: {} } : data
  const hash = entry.lastIndexOf('#')
  if (hash < 1 || hash === entry.length - 1) throw new Error(`entry "${entry}" names no export: "./file.js#Export"`)
  const { version, description } = json
  return {
    name,
    entryFile: findEntryFile(directory, entry.slice(0, hash), find),
    exportName: entry.slice(hash + 1),
    params,
    presets,
    package: { name: json.name, version, ...(description && { description }), directory },
  }
}

function findEntryFile(directory: string, path: string, find: (file: string) => string): string {
  const file = find(resolve(directory, path))
  const within = relative(directory, file)
  if (isAbsolute(path) || within.startsWith('..')) throw new Error(`entry ${path} lies outside of the package`)
  // A package compiled in place, like the built-in ones, has its JavaScript beside its TypeScript.
  const candidates = [file, file.replace(/\.ts$/, '.js')]
  const found = candidates.find((candidate) => existsSync(candidate) && statSync(candidate).isFile())
  if (!found) throw new Error(`entry file ${file} does not exist; is the package built?`)
  return realpathSync(found)
}

/** The folder of a package's dependency: in its own `node_modules`, or in one further up. */
export function findDependency(from: string, name: string): string | undefined {
  for (let directory = resolve(from); ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name)
    if (existsSync(join(candidate, 'package.json'))) return realpathSync(candidate)
    if (dirname(directory) === directory) return undefined
  }
}
