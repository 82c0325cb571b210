import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { outsideFolder } from './outside-package.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const KEPT = join(tmpdir(), 'millrace-test-packages')
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

/** The tarball that `npm pack` makes of this repository; made once as long as nothing changes. */
export async function packMillrace(): Promise<string> {
  const sources = ['src', 'pipelines', 'public', 'scripts', 'package.json', 'tsconfig.json', 'tsconfig.build.json']
  const folder = join(KEPT, `millrace-${digest(sources.flatMap((name) => states(join(ROOT, name))))}`)
  const [kept] = existsSync(folder) ? readdirSync(folder) : []
  if (kept) return join(folder, kept)
  const part = `${folder}.${process.pid}`
  mkdirSync(part, { recursive: true })
  await run('npm', ['pack', '--pack-destination', part], { cwd: ROOT, timeout: 300_000 }).catch((error) => {
    throw new Error(`npm pack failed: ${error.stderr}${error.stdout}`)
  })
  if (existsSync(folder)) rmSync(part, { recursive: true })
  else renameSync(part, folder)
  return join(folder, readdirSync(folder)[0]!)
}

/**
 * A new folder outside of the repository in which npm has installed the packed server, and the tools named, from its
 * cache: the versions are those of this repository's lock file.
 */
export async function outsideApp(tools: string[] = []): Promise<{ path: string } & Disposable> {
  const tarball = await packMillrace()
  const lock = lockFor(tarball, tools)
  const kept = join(KEPT, `app-${digest([readFileSync(tarball), lock])}`)
  if (!existsSync(kept)) await install(kept, tarball, lock)
  const folder = outsideFolder()
  // Links instead of copies: a quarter of a second instead of five.
  await run('cp', ['-al', `${kept}/.`, folder.path])
  return folder
}

/** `package-lock.json` for npm in a folder that shall have the packed server. */
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

/** As Node looks for it: in the package's own `node_modules`, then further up. */
function findLocked(packages: Record<string, Locked>, from: string, name: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    const path = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`
    if (path in packages) return path
    if (at === '') return undefined
  }
}

async function install(kept: string, tarball: string, lock: string): Promise<void> {
  const part = `${kept}.${process.pid}`
  rmSync(part, { recursive: true, force: true })
  mkdirSync(part, { recursive: true })
  const { packages } = JSON.parse(lock) as { packages: { '': object } }
  writeFileSync(join(part, 'package.json'), JSON.stringify({ ...packages[''], type: 'module', private: true }, null, 2))
  writeFileSync(join(part, 'package-lock.json'), lock)
  const options = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund']
  await run('npm', ['ci', ...options], { cwd: part, timeout: 300_000 }).catch((error) => {
    throw new Error(`npm ci failed with ${tarball}: ${error.stderr}`)
  })
  forgetOld()
  if (existsSync(kept)) rmSync(part, { recursive: true })
  else renameSync(part, kept)
}

/** What earlier states of this repository left; folders made from it have links of their own. */
function forgetOld(): void {
  for (const name of readdirSync(KEPT)) {
    const path = join(KEPT, name)
    if (Date.now() - statSync(path).mtimeMs > KEEP_MS) rmSync(path, { recursive: true, force: true })
  }
}

function states(path: string): string[] {
  if (!statSync(path).isDirectory()) return [`${relative(ROOT, path)} ${statSync(path).mtimeMs}`]
  return readdirSync(path)
    .sort()
    .flatMap((name) => (name === 'node_modules' ? [] : states(join(path, name))))
}

function digest(parts: (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part).update('\0')
  return hash.digest('hex').slice(0, 16)
}

/** A copy of a folder of this repository, without what git ignores there. */
export function copyFolder(from: string, to: string): void {
  cpSync(join(ROOT, from), to, {
    recursive: true,
    filter: (path) => !/\/(node_modules|dist)(\/|$)/.test(path.slice(ROOT.length)),
  })
}
