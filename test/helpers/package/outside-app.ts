import { execFile, execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { digest, keptFolder, makeOnce, states } from './kept.ts'
import { outsideFolder } from './outside-package.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const kept = () => keptFolder('millrace-test-packages')
/** Contents of the tarball. */
const SOURCES = [
  'src',
  'pipelines',
  'public',
  'python',
  'scripts',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.client.json',
]
const KEEP_MS = 3_600_000
const run = promisify(execFile)

type Locked = {
  version: string
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
  [key: string]: unknown
}

/** The tarball of this repository made by `npm pack`; rebuilt only after changes. */
export async function packMillrace(): Promise<string> {
  const folder = join(kept(), `millrace-${digest(SOURCES.flatMap((name) => states(join(ROOT, name))))}`)
  await makeOnce(folder, async (part) => {
    mkdirSync(part)
    await run('npm', ['pack', '--pack-destination', part], { cwd: ROOT, timeout: 300_000 }).catch((error) => {
      throw new Error(`npm pack failed: ${error.stderr}${error.stdout}`)
    })
  })
  return join(folder, readdirSync(folder)[0]!)
}

/**
 * A new folder outside the repository with the packed server and the named tools, installed by npm from its cache in
 * the versions of this repository's lock file.
 */
export async function outsideApp(tools: string[] = []): Promise<{ path: string } & Disposable> {
  const tarball = await packMillrace()
  const lock = lockFor(tarball, tools)
  const app = join(kept(), `app-${digest([readFileSync(tarball), lock])}`)
  await makeOnce(app, (part) => install(part, tarball, lock))
  const folder = outsideFolder()
  // Hard links instead of copies: a quarter of a second instead of five.
  await run('cp', ['-al', `${app}/.`, folder.path])
  return folder
}

/** A `package-lock.json` for installing the packed server in a folder. */
export function lockFor(tarball: string, tools: string[] = []): string {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>
  }
  const about = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Locked & {
    devDependencies: Record<string, string>
  }
  const { version, dependencies, optionalDependencies, bin, engines } = about
  const devDependencies = Object.fromEntries(tools.map((name) => [name, about.devDependencies[name]!]))
  const resolved = `file:${tarball}`
  const root = { name: 'outside', version: '1.0.0', dependencies: { millrace: resolved }, devDependencies }
  const server = { version, resolved, dependencies, optionalDependencies, bin, engines } as Locked
  const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim()
  const wanted: Record<string, unknown> = { '': root, 'node_modules/millrace': server }
  const add = (from: string, names: Record<string, unknown> = {}) => {
    for (const name of Object.keys(names)) {
      const path = findLocked(packages, from, name)
      if (path === undefined || path in wanted) continue
      const entry = packages[path]!
      const { dev: _dev, ...locked } = entry
      const address = new URL(`${name}/-/${name.split('/').at(-1)}-${entry.version}.tgz`, registry).href
      wanted[path] = { ...locked, resolved: address }
      const optional = entry.peerDependenciesMeta ?? {}
      const peers = Object.entries(entry.peerDependencies ?? {}).filter(([peer]) => !optional[peer]?.optional)
      for (const list of [entry.dependencies, entry.optionalDependencies, Object.fromEntries(peers)]) add(path, list)
    }
  }
  for (const list of [dependencies, optionalDependencies, devDependencies]) add('', list)
  return JSON.stringify(
    { name: 'outside', version: '1.0.0', lockfileVersion: 3, requires: true, packages: wanted },
    null,
    2,
  )
}

/** As Node resolves it: in the package's own `node_modules`, then further up. */
function findLocked(packages: Record<string, Locked>, from: string, name: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    const path = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`
    if (path in packages) return path
    if (at === '') return undefined
  }
}

async function install(part: string, tarball: string, lock: string): Promise<void> {
  mkdirSync(part)
  const { packages } = JSON.parse(lock) as { packages: { '': object } }
  writeFileSync(join(part, 'package.json'), JSON.stringify({ ...packages[''], type: 'module', private: true }, null, 2))
  writeFileSync(join(part, 'package-lock.json'), lock)
  const options = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund']
  await run('npm', ['ci', ...options], { cwd: part, timeout: 300_000 }).catch((error) => {
    throw new Error(`npm ci failed with ${tarball}: ${error.stderr}`)
  })
  forgetOld()
}

/** Removes results of earlier states of this repository; folders made from them have their own links. */
function forgetOld(): void {
  for (const name of readdirSync(kept())) {
    const path = join(kept(), name)
    if (Date.now() - statSync(path).mtimeMs > KEEP_MS) rmSync(path, { recursive: true, force: true })
  }
}

/** Copies a folder of this repository, without files that git ignores. */
export function copyFolder(from: string, to: string): void {
  cpSync(join(ROOT, from), to, {
    recursive: true,
    filter: (path) => !/\/(node_modules|dist)(\/|$)/.test(path.slice(ROOT.length)),
  })
}
