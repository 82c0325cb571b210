import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse } from 'smol-toml'
import { AppError } from '../../core/errors.ts'
import type { PipelineEntry } from '../../pipeline/catalog/entry.ts'
import { readManifest } from '../../pipeline/catalog/manifest.ts'
import { findInterpreter, GROUPS } from '../../pipeline/catalog/python.ts'

type Project = {
  project?: {
    name?: string
    version?: string
    description?: string
    'entry-points'?: Record<string, Record<string, string>>
  }
}

/**
 * The pipelines of the package in a folder, to be run from its sources: from `package.json` or `pyproject.toml`.
 * @throws AppError `invalid-request` if there is none, with what is accepted.
 */
export function readOwnPackage(folder: string, version: string, python: string): PipelineEntry[] {
  const own = existsSync(join(folder, 'package.json')) ? ofNpm(folder, version) : ofPython(folder, python)
  if (own) return own
  throw new AppError(
    'invalid-request',
    `${folder} has no pipeline: accepted is a package.json with millrace.pipelines, or a pyproject.toml with ${GROUPS.join(' or ')} (make one with "millrace new")`,
  )
}

function ofNpm(folder: string, version: string): PipelineEntry[] | undefined {
  const { entries, rejected } = readManifest(folder, version, sourceOf)
  const [wrong] = rejected
  if (entries.length === 0 && wrong) throw new AppError('invalid-request', `${wrong.where}: ${wrong.reason}`)
  return entries.length > 0 ? entries : undefined
}

/** Compiled code is run from its source: Node runs TypeScript directly. */
function sourceOf(file: string): string {
  const source = file.replace(/(^|\/)(dist|build|lib)\//, '$1src/').replace(/\.([cm]?)js$/, '.$1ts')
  return existsSync(source) ? source : file
}

function ofPython(folder: string, python: string): PipelineEntry[] | undefined {
  const file = join(folder, 'pyproject.toml')
  if (!existsSync(file)) return undefined
  let toml: Project
  try {
    toml = parse(readFileSync(file, 'utf8')) as Project
  } catch (thrown) {
    throw new AppError('invalid-request', `${file}: ${(thrown as Error).message.split('\n')[0]}`)
  }
  const { name = 'unnamed', version = '0', description, 'entry-points': groups = {} } = toml.project ?? {}
  const interpreter = [join(folder, '.venv'), join(folder, 'venv'), python].map(findInterpreter).find(Boolean)
  if (!interpreter) throw new AppError('invalid-request', `there is no Python ${python} (PYTHON), nor one in .venv`)
  const declared = GROUPS.flatMap((group) => Object.entries(groups[group] ?? {}))
  const modules = [join(folder, 'src'), folder].filter((one) => existsSync(one))
  const entries = new Map<string, PipelineEntry>()
  for (const [pipeline, exportName] of declared)
    entries.set(pipeline, {
      name: pipeline,
      entryFile: realpathSync(file),
      exportName: exportName.replace(/\s/g, ''),
      interpreter,
      modules,
      params: {},
      package: { name, version, ...(description && { description }), directory: dirname(realpathSync(file)) },
    })
  return entries.size > 0 ? [...entries.values()] : undefined
}
