/** Does what docs/pipeline-sdk-python.md says, with the package of its own blocks. */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Child, TailBuffer } from '../../../src/core/child.ts'
import { fencedBlocks, shellBlocks, textOf } from '../../e2e/api/shell-blocks.ts'
import { http } from '../../helpers/server/http.ts'
import { waitFor } from '../../helpers/wait.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PAGE = 'docs/pipeline-sdk-python.md'
/** Commands in its sentences that other tests run, or that need what a test has not. */
const ELSEWHERE = [
  'npx millrace install pip:./their-folder', // process/python/forms.test.ts
  'npx millrace dev FOLDER', // e2e/pipelines/dev.test.ts
  'npm run bench -- runners', // process/bench.test.ts
  'EXAMPLES=1 npx vitest run --project real test/process/python/example.test.ts',
  'apt-get install libatomic1',
]

const blocks = [...fencedBlocks(textOf(PAGE))]
const prose = textOf(PAGE).replaceAll(/^```[\s\S]*?^```$/gm, '')
const inline = [...prose.matchAll(/`((?:npx millrace|npm run|apt-get|python3?|pip|EXAMPLES=1) [^`]+)`/g)]
const commands = [...new Set(inline.map(([, command]) => command!))]
const command = (start: string) => commands.find((one) => one.startsWith(start)) ?? `no command begins with ${start}`

let root: string
let environment: Record<string, string>
let python: string
const ran = new Set<string>()

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-page-'))
  const own = join(root, 'my-pipeline')
  mkdirSync(join(own, 'my_pipeline'), { recursive: true })
  const block = (info: string) => blocks.find((one) => one.info === info)!.text
  writeFileSync(join(own, 'pyproject.toml'), block('toml'))
  writeFileSync(join(own, 'my_pipeline', '__init__.py'), block('python'))
  // What `npm install --global` makes, and the npx of there.
  mkdirSync(join(root, 'bin'))
  mkdirSync(join(root, 'global', 'millrace'), { recursive: true })
  symlinkSync(ROOT, join(root, 'global', 'millrace', 'dist'))
  const tools = {
    npx: `[ "$1" = millrace ] || exit 64; shift; exec "${process.execPath}" "${join(ROOT, 'src/cli.ts')}" "$@"`,
    npm: `[ "$*" = 'root --global' ] || exit 64; echo "${join(root, 'global')}"`,
  }
  for (const [name, script] of Object.entries(tools)) {
    writeFileSync(join(root, 'bin', name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(root, 'bin', name), 0o755)
  }
  const path = `${join(root, 'bin')}${delimiter}${process.env.PATH}`
  environment = { PATH: path, HOME: root, PORT: '0', UDP_PORT: '0', HOST: '127.0.0.1' }
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

async function run(text: string, { cwd = root, bin = '' } = {}): Promise<string> {
  ran.add(text)
  const env = { ...environment, PATH: `${bin}${delimiter}${environment.PATH}` }
  const bash = promisify(execFile)('bash', ['-euo', 'pipefail', '-c', text], { cwd, env, timeout: 300_000 })
  return (await bash.catch((error) => Promise.reject(new Error(`${text}\n${error.stdout}${error.stderr}`)))).stdout
}

test('its first block installs a package, lists it and starts a server with it', async () => {
  const [install, list, start] = shellBlocks(PAGE)[0]!.text.split('\n')
  await run(install!)
  expect(await run(list!)).toMatch(/^my-pipeline +my-pipeline@0\.1\.0/m)
  const pipelines = join(root, '.millrace', 'pipelines')
  python = join(pipelines, readdirSync(pipelines).find((name) => name.startsWith('python-'))!, 'bin')

  const output = new TailBuffer(60)
  const server = await Child.spawn({
    command: 'bash',
    args: ['-c', start!],
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: root,
    env: environment,
    group: true,
  })
  try {
    for (const stream of [server.process.stdout, server.process.stderr])
      stream?.setEncoding('utf8').on('data', (chunk: string) => output.push(chunk))
    const [, url] = await waitFor('its address', () => /(http:\/\/127\.0\.0\.1:\d+)/.exec(output.lines.join('\n')))
    expect((await http('POST', `${url}/test-pattern/demo`)).status).toBe(201)
    const status = () => http('GET', `${url}/streams/demo`).then(({ text }) => JSON.parse(text))
    await waitFor('frames', async () => (await status()).inference.fps > 1)
    expect((await status()).pipeline).toBe('my-pipeline')
  } finally {
    await server.close()
  }
}, 400_000)

test('a new package gets the SDK from the server, and its tests pass', async () => {
  await run(command('npx millrace new').replace('my-pipeline', 'another'))
  const cwd = join(root, 'another')
  await run(command('python3 "$(npm root'), { cwd })
  await promisify(execFile)('python3', ['-m', 'venv', join(root, 'venv')], { timeout: 120_000 })
  const bin = join(root, 'venv', 'bin')
  await run(command('pip install --find-links'), { cwd, bin })
  expect(await run('pytest -q', { cwd, bin })).toMatch(/^\d+ passed/m)
}, 400_000)

test('what it says of a pipeline that is not found shows what is there', async () => {
  expect(await run(command('npx millrace pipelines --verbose'))).toContain('#my_pipeline:MyPipeline')
  expect(await run(command('python -c'), { bin: python })).toContain("value='my_pipeline:MyPipeline'")
  expect(await run(command('npx millrace uninstall'))).toBe('my-pipeline\n')
  expect(await run('npx millrace pipelines')).not.toContain('my-pipeline')
}, 200_000)

test('no command of it is left out', () => {
  const left = commands.filter(
    (one) => !ran.has(one) && !ELSEWHERE.includes(one) && one !== command('npx millrace new'),
  )
  expect(left).toEqual(['python -m build'])
})
