import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import { millrace } from '../../helpers/package/python.ts'
import { pythonTools } from '../../helpers/package/python-tools.ts'
import { httpJson } from '../../helpers/server/http.ts'
import { startServer } from '../../helpers/server/server.ts'
import { play, until } from '../pipeline/support/hosts.ts'

const CLI = fileURLToPath(new URL('../../../src/cli.ts', import.meta.url))

let root: string
let pipelines: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-new-'))
  pipelines = join(root, 'pipelines')
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const environment = () => join(pipelines, readdirSync(pipelines).find((name) => name.startsWith('python-'))!)

test('a new Python package is installed, and listed with its invalid declarations', () => {
  const folder = join(root, 'my-2nd-look')
  const said = millrace(pipelines, 'new', folder, '--python')
  expect(said).toMatch(/src\/my_2nd_look\/pipeline\.py[\s\S]*millrace install pip:/)
  const project = join(folder, 'pyproject.toml')
  const text = readFileSync(project, 'utf8')
  const entry = 'my-2nd-look = "my_2nd_look.pipeline:My2ndLook"'
  expect(text).toContain(entry)
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true }))
    if (file.isFile())
      expect(readFileSync(join(file.parentPath, file.name), 'utf8')).not.toMatch(/my.pipeline|MyPipeline/)
  writeFileSync(project, text.replace(entry, `${entry}\n"-dashed" = "my_2nd_look.pipeline:My2ndLook"`))
  millrace(pipelines, 'install', `pip:${folder}`)
  const listed = millrace(pipelines, 'pipelines', '--verbose')
  expect(listed).toMatch(/^my-2nd-look +my-2nd-look@0\.1\.0 +A Millrace pipeline/m)
  expect(listed).toContain(`${environment()}/bin/python`)
  expect(listed).toContain('#my_2nd_look.pipeline:My2ndLook')
  expect(listed).toMatch(/^rejected +my-2nd-look in .*: a pipeline's name must match/m)
}, 400_000)

test('its own tests pass', () => {
  const python = join(environment(), 'bin/python')
  const options = { cwd: join(root, 'my-2nd-look'), encoding: 'utf8', stdio: 'pipe', timeout: 200_000 } as const
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', '--only-binary', ':all:', 'pytest==9.2.0'], options)
  expect(execFileSync(python, ['-m', 'pytest', '-q'], options)).toMatch(/^\d+ passed in/m)
  appendFileSync(
    join(root, 'my-2nd-look/tests/test_pipeline.py'),
    '\n\ndef test_fails():\n    assert MyPipeline is None\n',
  )
  expect(() => execFileSync(python, ['-m', 'pytest', '-q'], options)).toThrow()
}, 400_000)

test('it runs, and so does its variant', async () => {
  const catalog = await discoverPipelines({ pipelineDir: pipelines })
  for (const [name, strength] of [
    ['my-2nd-look', 0.8],
    ['my-2nd-look-soft', 0.4],
  ] as const) {
    await using stage = await play(name, { catalog, defaultPipeline: name })
    await until('outputs', () => stage.source.outputs.length > 5)
    const { pts, value } = stage.source.outputs.at(-1)!
    const sample = (pts / 3000) % 251
    expect(Math.abs(value - (sample + strength * (255 - 2 * sample)))).toBeLessThanOrEqual(0.5)
    expect(stage.told.errors).toEqual([])
  }
})

test('its distributions pass the checks of PyPI; a wheel is installed before the start, once; a folder or an unpinned version is refused', async () => {
  const tools = await pythonTools('build==1.6.1', 'twine==7.0.0')
  const source = join(root, 'my-2nd-look')
  const options = { cwd: source, encoding: 'utf8', stdio: 'pipe', timeout: 200_000 } as const
  execFileSync(join(tools, 'python'), ['-m', 'build'], options)
  const built = readdirSync(join(source, 'dist')).sort()
  expect(built).toEqual(['my_2nd_look-0.1.0-py3-none-any.whl', 'my_2nd_look-0.1.0.tar.gz'])
  const files = built.map((name) => join('dist', name))
  // Without a network it says what an upload would be refused for.
  expect(execFileSync(join(tools, 'python'), ['-m', 'twine', 'check', '--strict', ...files], options)).toMatch(
    /(PASSED[\s\S]*){2}/,
  )
  const [wheel] = built
  const start = (spec: string) => {
    const env = { PATH: process.env.PATH, HOME: root, AUTO_INSTALL_PIPELINE: spec }
    return execFileSync(process.execPath, [CLI, 'prepare', 'my-2nd-look'], {
      cwd: source,
      env: { ...env, PIPELINE_DIR: join(root, 'auto'), MODEL_DIR: join(root, 'models') },
      encoding: 'utf8',
      stdio: 'pipe',
      timeout: 200_000,
    })
  }
  for (const spec of ['pip:.', 'pip:my-2nd-look', 'pip:my-2nd-look>=0.1', 'pip:./dist/none.whl'])
    expect(() => start(spec), spec).toThrow(/accepted: pip:|build a wheel/)
  expect(existsSync(join(root, 'auto'))).toBe(false)
  start(`pip:./dist/${wheel}`)
  const [made] = readdirSync(join(root, 'auto')).filter((name) => name.startsWith('python-'))
  const before = statSync(join(root, 'auto', made!)).ctimeMs
  start(`pip:./dist/${wheel}`)
  expect(statSync(join(root, 'auto', made!)).ctimeMs).toBe(before)
}, 400_000)

test('a server on a machine without Python runs, and logs nothing about it', async () => {
  await using server = await startServer({ env: { PYTHON: join(root, 'nowhere'), PIPELINE_DIR: join(root, 'none') } })
  const { json } = await httpJson<{ name: string }[]>('GET', `${server.url}/pipelines`)
  expect(json.map(({ name }) => name)).toContain('noop')
  expect(JSON.stringify([server.logs.lines, server.logs.other])).not.toMatch(/python/i)
})
