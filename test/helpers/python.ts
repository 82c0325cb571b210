import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const INSTALL_MS = 300_000

export type PythonFolder = { directory: string; [Symbol.dispose](): void }

/**
 * A folder as `PIPELINE_DIR` would be, with one virtual environment that holds the packages of `test/fixtures/python`,
 * built and installed as a user would. numpy and pydantic come from the registry.
 */
export function installPythonFixtures(...names: string[]): PythonFolder {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-python-'))
  const environment = join(directory, 'environment')
  const run = (command: string, args: string[]) =>
    execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'], timeout: INSTALL_MS })
  try {
    run('python3', ['-m', 'venv', environment])
    const sources = [folder('../../python'), ...names.map((name) => folder(`../fixtures/python/${name}`))]
    // pip builds in the source folder; copies keep the checkout clean.
    const copies = sources.map((_, index) => join(directory, `source-${index}`))
    for (const [index, source] of sources.entries()) run('cp', ['-r', source, copies[index]!])
    run(join(environment, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...copies])
    for (const copy of copies) rmSync(copy, { recursive: true })
  } catch (thrown) {
    rmSync(directory, { recursive: true, force: true })
    throw thrown
  }
  return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) }
}
