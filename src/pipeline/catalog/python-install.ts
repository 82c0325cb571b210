import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
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
import { environmentsIn, findEnvironment, findInterpreter, readEnvironment } from './python.ts'

const MAKE_WHEELS = fileURLToPath(new URL('../../../python/make_wheels.py', import.meta.url))
/** What is installed in an environment, so that a start without a network finds it done. */
const RECORD = '.installed.json'
/** torch alone is five gigabytes. */
const INSTALL_MS = 1_800_000
const HARMLESS = /^[A-Za-z0-9@/._~+:#=[\],-]+$/
const PINNED = /^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9.+!]+$/
const GIT = /^git\+(https|ssh):\/\/[^#@]+@[0-9a-f]{40}$/
const ACCEPTED =
  'pip:my-pipeline==1.2.3, pip:./folder, pip:./file.whl or pip:git+https://example.org/my-pipeline.git@<whole commit>'

export type PythonInstallOptions = {
  /** What follows `pip:`. */
  spec: string
  /** A virtual environment of its own is made here. */
  pipelineDir: string
  /** Relative paths are seen from here. */
  appDir: string
  /** The interpreter, or virtual environment, that the new environment is made from. */
  python: string
  /** At a start: a folder, whose contents are not fixed, is refused, and what is there already is not installed again. */
  pinned?: boolean
}

/**
 * Installs one Python package into a new virtual environment, by `uv` when it is on PATH, and gives the pipelines it
 * brings. The SDK comes from the server's own files, never from an index. Nothing is left behind, and what was installed
 * before from the same spec stays, when it fails: `invalid-request` for a spec that is not accepted, `pipeline-failed` for
 * the rest.
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
    context.log.info({ spec: options.spec }, 'the Python pipeline is installed')
    return entriesOf(environment).entries
  }
  const interpreter = findInterpreter(options.python)
  if (!interpreter)
    throw new AppError('pipeline-failed', `there is no Python to install pip:${options.spec} with; set PYTHON`)
  const wheels = mkdtempSync(join(tmpdir(), 'millrace-wheels-'))
  // An environment's scripts name its path, so it is made where it will stay. What begins with a dot is not searched.
  const previous = existsSync(environment) ? join(options.pipelineDir, `.${name}.previous`) : undefined
  if (previous) {
    rmSync(previous, { recursive: true, force: true })
    renameSync(environment, previous)
  }
  try {
    mkdirSync(options.pipelineDir, { recursive: true })
    const what = `pip:${options.spec}`
    const sdk = (await run(interpreter, [MAKE_WHEELS, wheels], what, context)).filter((line) => line.endsWith('.whl'))
    const only = PINNED.test(options.spec) ? ['--only-binary', ':all:'] : []
    const uv = findInterpreter('uv')
    const python = join(environment, 'bin', 'python')
    if (uv) {
      await run(uv, ['venv', '--quiet', '--python', interpreter, environment], what, context)
      await run(uv, ['pip', 'install', '--quiet', '--python', python, ...only, ...sdk, requirement], what, context)
    } else {
      await run(interpreter, ['-m', 'venv', environment], what, context)
      const quiet = ['--quiet', '--disable-pip-version-check', '--no-input']
      await run(python, ['-m', 'pip', 'install', ...quiet, ...only, ...sdk, requirement], what, context)
    }
    const { entries, rejected } = entriesOf(environment)
    if (entries.length === 0) {
      const reason = rejected[0]?.reason ?? 'no package there declares one in the group ai_runner.pipelines'
      throw new AppError('pipeline-failed', `pip:${options.spec} brings no pipeline: ${reason}`)
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
 * Removes the environments in `pipelineDir` that bring the pipeline or package of that name; gives the pipelines that went
 * with them. Throws `not-found`.
 */
export function uninstallPython(name: string, pipelineDir: string): string[] {
  const gone: string[] = []
  for (const environment of environmentsIn(pipelineDir)) {
    const { entries } = readEnvironment(environment)
    if (!entries.some((entry) => entry.name === name || entry.package.name === name)) continue
    rmSync(dirname(dirname(environment.interpreter)), { recursive: true, force: true })
    gone.push(...entries.map((entry) => entry.name))
  }
  if (gone.length === 0) throw new AppError('not-found', `no Python pipeline ${name} is installed in ${pipelineDir}`)
  return gone
}

/** A package that was installed from elsewhere before gives way: two of one name would end the next start. */
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

/** A file may be replaced by another one of the same name. */
function fingerprint(requirement: string): string {
  const isFile = existsSync(requirement) && statSync(requirement).isFile()
  const digest = isFile ? createHash('sha256').update(readFileSync(requirement)).digest('hex') : ''
  return JSON.stringify([requirement, digest])
}

/** As pip takes it. Throws `invalid-request`. */
function readRequirement(spec: string, appDir: string): string {
  const refuse = (why: string): never => {
    throw new AppError('invalid-request', `${JSON.stringify(`pip:${spec}`)} ${why}; accepted: ${ACCEPTED}`)
  }
  if (spec.startsWith('-') || !HARMLESS.test(spec)) return refuse('is no package')
  if (/^[./~]/.test(spec)) {
    const path = resolve(appDir, spec)
    if (!existsSync(path)) return refuse('does not exist')
    if (!/\.(whl|tar\.gz)$/.test(path) && !existsSync(join(path, 'pyproject.toml')))
      return refuse('has no pyproject.toml')
    return path
  }
  if (spec.startsWith('git+')) return GIT.test(spec) ? spec : refuse('names no whole commit')
  return PINNED.test(spec) ? spec : refuse('names no exact version')
}

/** One environment for a spec, whatever its version: a newer one takes the place of the older. */
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
