import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/python/${name}`, import.meta.url))
const INSTALL_MS = 300_000

export type PythonFolder = { directory: string; [Symbol.dispose](): void }

/** The settings of a `millrace` that a test starts, without those of this machine. */
const settings = (directory: string) => ({ PATH: process.env.PATH, HOME: process.env.HOME, PIPELINE_DIR: directory })

/** What `millrace` prints. Throws when it fails. */
export function millrace(directory: string, ...args: string[]): string {
  return execFileSync(process.execPath, [CLI, ...args], {
    encoding: 'utf8',
    env: settings(directory),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: INSTALL_MS,
  })
}

/** A new `PIPELINE_DIR` with packages of `test/fixtures/python`, put there by `millrace install`. */
export function installPythonFixtures(...names: string[]): PythonFolder {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-python-'))
  const end = () => rmSync(directory, { recursive: true, force: true })
  try {
    // A build writes into the folder of the package.
    for (const name of names) cpSync(fixture(name), join(directory, 'sources', name), { recursive: true })
    millrace(directory, 'install', ...names.map((name) => `pip:${join(directory, 'sources', name)}`))
  } catch (thrown) {
    end()
    throw thrown
  }
  return { directory, [Symbol.dispose]: end }
}
