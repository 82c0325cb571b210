import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { env } from 'node:process'
import { fileURLToPath } from 'node:url'
import { AppError } from '../../core/errors.ts'
import type { Context } from '../../core/resource.ts'
import { withoutSecrets } from '../../core/secrets.ts'
import type { PipelineEntry } from './entry.ts'
import { runInstaller } from './installer.ts'
import type { Manifest } from './manifest.ts'
import { makePipelineDir } from './npm.ts'
import { environmentsIn, findEnvironment, findInterpreter, readEnvironment } from './python.ts'

const MAKE_WHEELS = fileURLToPath(new URL('../../../python/make_wheels.py', import.meta.url))
/** Records what is installed in an environment, so that a start without network needs no installation. */
const RECORD = '.installed.json'
/** torch alone is five gigabytes. */
const INSTALL_MS = 1_800_000
const HARMLESS = /^[A-Za-z0-9@/._~+:#=[\],-]+$/
const PINNED = /^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9.+!]+$/
const GIT = /^git\+(https|ssh):\/\/[^#@]+@[0-9a-f]{40}$/
const ACCEPTED =
  'pip:my-pipeline==1.2.3, pip:./folder, pip:./file.whl or pip:git+https://example.org/my-pipeline.git@<full commit>'

export type PythonInstallOptions = {
  /** The part after `pip:`. */
  spec: string
  /** Folder of the new virtual environment. */
  pipelineDir: string
  /** Base of relative paths. */
  appDir: string
  /** The interpreter or virtual environment that the new environment is made from. */
  python: string
  /** At server start: refuses a folder, whose contents are not fixed, and skips what is already installed. */
  pinned?: boolean
}

/**
 * Installs one Python package into a new virtual environment, with `uv` if it is on PATH, and returns its pipelines.
 * The SDK comes from the server's own files, never from an index. If it fails, nothing is left behind and an earlier
 * installation of the same spec stays. Throws `invalid-request` for a spec that is not accepted, `pipeline-failed` for
 * other failures.
 */
export async function installPython(options: PythonInstallOptions, context: Context): Promise<PipelineEntry[]> {
  const requirement = readRequirement(options.spec, options.appDir)
  const name = environmentName(options.spec)
  const environment = join(options.pipelineDir, name)
  const record = join(environment, RECORD)
  const installed = fingerprint(requirement)
  if (options.pinned && existsSync(requirement) && statSync(requirement).isDirectory())
    throw new AppError(
      'invalid-request',
      `pip:${options.spec} is a folder; build a wheel of it for an automatic install`,
    )
  if (options.pinned && existsSync(record) && readFileSync(record, 'utf8') === installed) {
    context.log.info({ spec: options.spec }, 'installed a Python pipeline')
    return entriesOf(environment).entries
  }
  const interpreter = findInterpreter(options.python)
  if (!interpreter)
    throw new AppError('pipeline-failed', `there is no Python to install pip:${options.spec} with; set PYTHON`)
  const wheels = mkdtempSync(join(tmpdir(), 'millrace-wheels-'))
  // An environment's scripts contain its path, so it is created in its final place. Names that begin with a dot are not
  // searched.
  const previous = existsSync(environment) ? join(options.pipelineDir, `.${name}.previous`) : undefined
  if (previous) {
    rmSync(previous, { recursive: true, force: true })
    renameSync(environment, previous)
  }
  try {
    makePipelineDir(options.pipelineDir)
    const what = `pip:${options.spec}`
    const sdk = (await run(interpreter, [MAKE_WHEELS, wheels], what, context)).filter((line) => line.endsWith('.whl'))
    const only = PINNED.test(options.spec) ? ['--only-binary', ':all:'] : []
    const uv = findInterpreter('uv')
    const python = join(environment, 'bin', 'python')
    if (uv) {
      await run(uv, ['venv', '--quiet', '--python', interpreter, environment], what, context)
      await run(
        uv,
        ['pip', 'install', '--quiet', '--no-sources', '--python', python, ...only, ...sdk, requirement],
        what,
        context,
      )
    } else {
      await run(interpreter, ['-m', 'venv', environment], what, context)
      const quiet = ['--quiet', '--disable-pip-version-check', '--no-input']
      await run(python, ['-m', 'pip', 'install', ...quiet, ...only, ...sdk, requirement], what, context)
    }
    const { entries, rejected } = entriesOf(environment)
    if (entries.length === 0) {
      const reason = rejected[0]?.reason ?? 'no package there declares one in the group ai_runner.pipelines'
      throw new AppError('pipeline-failed', `pip:${options.spec} has no pipeline: ${reason}`)
    }
    writeFileSync(record, installed)
    removeEarlier(entries, environment, options.pipelineDir)
    if (previous) rmSync(previous, { recursive: true, force: true })
    return entries
  } catch (thrown) {
    rmSync(environment, { recursive: true, force: true })
    if (previous) renameSync(previous, environment)
    throw thrown
  } finally {
    rmSync(wheels, { recursive: true, force: true })
  }
}

/**
 * Removes the environments in `pipelineDir` that have the pipeline or package of that name; returns the pipelines
 * removed with them. Throws `not-found`.
 */
export function uninstallPython(name: string, pipelineDir: string): string[] {
  const gone: string[] = []
  for (const environment of environmentsIn(pipelineDir)) {
    const { entries } = readEnvironment(environment)
    if (!entries.some((entry) => entry.name === name || entry.package.name === name)) continue
    rmSync(dirname(dirname(environment.interpreter)), { recursive: true, force: true })
    gone.push(...entries.map((entry) => entry.name))
  }
  if (gone.length === 0) throw new AppError('not-found', `no pipeline ${name} is installed in ${pipelineDir}`)
  return gone
}

/**
 * Removes an earlier installation of the same package from another source: two of one name would fail the next start.
 */
function removeEarlier(entries: readonly PipelineEntry[], environment: string, pipelineDir: string): void {
  const names = new Set(entries.map((entry) => entry.package.name))
  for (const { interpreter, ...other } of environmentsIn(pipelineDir)) {
    const folder = dirname(dirname(interpreter))
    if (folder === environment) continue
    const replaced = readEnvironment({ interpreter, ...other }).entries.some((entry) => names.has(entry.package.name))
    if (replaced) rmSync(folder, { recursive: true, force: true })
  }
}

function entriesOf(environment: string): Manifest {
  const found = findEnvironment(environment)
  return found ? readEnvironment(found) : { entries: [], rejected: [] }
}

/** Includes a file's contents, because it may be replaced under the same name. */
function fingerprint(requirement: string): string {
  const isFile = existsSync(requirement) && statSync(requirement).isFile()
  const digest = isFile ? createHash('sha256').update(readFileSync(requirement)).digest('hex') : ''
  return JSON.stringify([requirement, digest])
}

/** The spec in pip's form. Throws `invalid-request`. */
function readRequirement(spec: string, appDir: string): string {
  const refuse = (why: string): never => {
    throw new AppError('invalid-request', `${JSON.stringify(`pip:${spec}`)} ${why}; accepted: ${ACCEPTED}`)
  }
  if (spec.startsWith('-')) return refuse('is no package')
  // A path may have any character: no shell reads it.
  if (/^[./~]/.test(spec)) {
    const path = resolve(appDir, spec)
    if (!existsSync(path)) return refuse('does not exist')
    if (!/\.(whl|tar\.gz)$/.test(path) && !existsSync(join(path, 'pyproject.toml')))
      return refuse('has no pyproject.toml')
    return path
  }
  if (!HARMLESS.test(spec)) return refuse('is no package')
  if (spec.startsWith('git+')) return GIT.test(spec) ? spec : refuse('names no whole commit')
  return PINNED.test(spec) ? spec : refuse('names no exact version')
}

/** The same for all versions of a spec, so that a newer version replaces an older one. */
function environmentName(spec: string): string {
  const source = spec.replace(/(==|@[0-9a-f]{40}$).*$/, '')
  const name = basename(source.replace(/\.git$/, '')).replace(/[^A-Za-z0-9_.-]/g, '')
  return `python-${name}-${createHash('sha256').update(source).digest('hex').slice(0, 8)}`
}

function run(command: string, args: string[], what: string, context: Context): Promise<string[]> {
  const environment = { ...withoutSecrets(env), PYTHONPATH: '' }
  return runInstaller(
    { what, command, args, env: environment, limitMs: INSTALL_MS, isReason: /^(ERROR: (?!Ignored)|error:| {2}×)/ },
    context,
  )
}
