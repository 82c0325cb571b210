import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { digest, keptFolder, makeOnce, states } from './kept.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const CLI = join(ROOT, 'src/cli.ts')
const fixture = (name: string) => join(ROOT, 'test/fixtures/python', name)
const INSTALL_MS = 300_000

export type PythonFolder = { directory: string; [Symbol.dispose](): void }

/** Settings of a `millrace` that a test starts, without those of this machine. */
const settings = (directory: string) => {
  const { PATH, HOME, NODE_COMPILE_CACHE } = process.env
  return { PATH, HOME, NODE_COMPILE_CACHE, PIPELINE_DIR: directory }
}

/** Output of `millrace`. Throws if it fails. */
export function millrace(directory: string, ...args: string[]): string {
  return execFileSync(process.execPath, [CLI, ...args], {
    encoding: 'utf8',
    env: settings(directory),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: INSTALL_MS,
  })
}

/** A new `PIPELINE_DIR` with packages of `test/fixtures/python`, installed by `millrace install`. */
export async function installPythonFixtures(...names: string[]): Promise<PythonFolder> {
  const sources = [...names.map(fixture), ...['python', 'src/pipeline/catalog'].map((name) => join(ROOT, name))]
  const kept = join(keptFolder('millrace-test-python'), digest([...names, ...sources.flatMap(states)]))
  await makeOnce(kept, async (part) => {
    // Copied, because a build writes to the package's folder.
    for (const name of names) cpSync(fixture(name), join(part, 'sources', name), { recursive: true })
    millrace(part, 'install', ...names.map((name) => `pip:${join(part, 'sources', name)}`))
  })
  const directory = mkdtempSync(join(tmpdir(), 'millrace-python-'))
  // Hard links: to change a file of a package, replace it.
  execFileSync('cp', ['-al', `${kept}/.`, directory])
  for (const name of readdirSync(directory).filter((name) => name.startsWith('python-')))
    moveScripts(join(directory, name))
  return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) }
}

/** The scripts of an environment begin with the interpreter's path at creation. */
function moveScripts(environment: string): void {
  const bin = join(environment, 'bin')
  for (const entry of readdirSync(bin, { withFileTypes: true })) {
    const file = join(bin, entry.name)
    const text = entry.isFile() ? readFileSync(file, 'latin1') : ''
    if (!/^#!.*\/bin\/python/.test(text)) continue
    rmSync(file)
    writeFileSync(file, text.replace(/^#!.*/, `#!${join(bin, 'python')}`), { encoding: 'latin1', mode: 0o755 })
  }
}
