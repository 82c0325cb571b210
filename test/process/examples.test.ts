import { execFile } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify, stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { outsideApp } from '../helpers/package/outside-app.ts'
import { outsideFolder } from '../helpers/package/outside-package.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url))
const PYTHON = fileURLToPath(new URL('../../python', import.meta.url))
const LIMIT_MS = 600_000
const run = promisify(execFile)

/** Returns the output; rejects with it on failure. */
async function type(command: string, cwd: string): Promise<string> {
  const [program = '', ...args] = command.split(' ')
  const { stdout, stderr } = await run(program, args, { cwd, timeout: LIMIT_MS }).catch((error) => {
    throw new Error(`${command}: ${error.stdout}${error.stderr}`)
  })
  return stripVTControlCharacters(stdout + stderr)
}

/** An example copied to a folder outside the repository. */
function copyTo(folder: string, name: string): string {
  const copy = join(folder, name)
  const made = /node_modules|[\\/](dist|build|\.venv)|egg-info/
  cpSync(join(EXAMPLES, name), copy, { recursive: true, filter: (from) => !made.test(from.slice(EXAMPLES.length)) })
  return copy
}

// Hundreds of megabytes of packages, so only with npm run test:examples.
describe.runIf(process.env.EXAMPLES)('the examples pass their tests as described in their READMEs', () => {
  let app: Awaited<ReturnType<typeof outsideApp>>
  beforeAll(async () => {
    app = await outsideApp(['typescript', 'vitest', '@types/node'])
  }, LIMIT_MS)
  afterAll(() => app?.[Symbol.dispose]())

  test.each(['external-pipeline', 'line-counter', 'object-detector'])('%s', { timeout: LIMIT_MS }, async (name) => {
    const folder = copyTo(app.path, name)
    const file = join(folder, 'package.json')
    // The server and the tools are in the parent folder; the rest comes from the registry.
    const { devDependencies: _, peerDependencies: __, ...manifest } = JSON.parse(readFileSync(file, 'utf8'))
    writeFileSync(file, JSON.stringify(manifest))
    await type('npm install --no-audit --no-fund', folder)
    await type('npm run build', folder)
    expect(await type('npm test', folder)).toMatch(/Tests +\d+ passed/)
  })

  test.each(['python-pipeline', 'face-mesh', 'reader'])('%s', { timeout: LIMIT_MS }, async (name) => {
    using outside = outsideFolder()
    const folder = copyTo(outside.path, name)
    await type('python3 -m venv .venv', folder)
    await type(`python3 ${join(PYTHON, 'make_wheels.py')} sdk`, folder)
    await type('.venv/bin/pip install --quiet --find-links sdk -e .[test]', folder)
    expect(await type('.venv/bin/pytest', folder)).toMatch(/\d+ passed/)
  })
})
