import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import type { PipelineLease } from '../../../src/pipeline/supervision/pool/pool.ts'
import { millrace } from '../../helpers/package/python.ts'
import { pythonTools } from '../../helpers/package/python-tools.ts'
import { listen, play, Source, type Stage, until } from '../pipeline/support/hosts.ts'
import { usePython } from './support.ts'

const CLI = fileURLToPath(new URL('../../../src/cli.ts', import.meta.url))

// Two packages that need different versions of a third one.
const python = usePython('apart-old', 'apart-new')
const environments = () => readdirSync(python.directory).filter((name) => name.startsWith('python-'))

/** A second stream beside that of a stage. */
async function beside({ pool, log }: Stage, pipeline: string) {
  const source = new Source()
  const lease: PipelineLease = await pool.lease({ pipeline, requestId: 'beside', onFrame: source.onFrame }, { log })
  source.start(lease)
  return { lease, source, told: listen(lease) }
}

const shows = (source: Source, value: number) =>
  until(`${value} in its frames`, () => source.outputs.length > 10 && source.outputs.at(-1)?.value === value)

test('each has an environment with its own versions, and runs beside the other and in a chain with it', async () => {
  const { pipelines } = await discoverPipelines({ pipelineDir: python.directory })
  const interpreters = ['apart-old', 'apart-new'].map((name) => pipelines.get(name)!.interpreter)
  expect(new Set(interpreters).size).toBe(2)
  await using stage = await python.start('apart-old')
  const { lease, source } = await beside(stage, 'apart-new')
  await shows(stage.source, 16)
  await shows(source, 17)
  expect(lease.pid).not.toBe(stage.lease.pid)
  source.stop()
  await lease.close()
  await using chain = await python.start('apart-new,apart-old')
  await shows(chain.source, 16)
})

test('one that ends its process costs the other nothing', async () => {
  await using stage = await python.start('apart-old')
  const { lease, source, told } = await beside(stage, 'apart-new')
  await shows(source, 17)
  const { pid } = lease
  await stage.lease.updateParams('merge', { exits: true })
  await until('its restarts', () => stage.told.restarts.length > 1)
  expect(stage.told.restarts[0]!.reason).toContain('exited with code 9')
  const { length } = source.outputs
  await until('frames of the other', () => source.outputs.length > length + 30)
  expect([lease.pid, told.restarts, told.errors]).toEqual([pid, [], []])
  expect(source.shown.filter(({ pts }) => pts > source.outputs[0]!.pts).every(({ kind }) => kind === 'output')).toBe(
    true,
  )
  source.stop()
  await lease.close()
})

test('what a package imports and does not require is named', async () => {
  await expect(python.start('apart-lacking')).rejects.toMatchObject({
    code: 'pipeline-failed',
    message: expect.stringMatching(
      /could not import apart_new\.lacking: ModuleNotFoundError: No module named 'no_such_module'/,
    ),
  })
})

test('one is taken out while the other works, which goes on in its process and at the next start', async () => {
  await using stage = await python.start('apart-new')
  await shows(stage.source, 17)
  const { pid } = stage.lease
  expect(millrace(python.directory, 'uninstall', 'apart-old')).toBe('apart-old\n')
  expect(environments()).toHaveLength(1)
  const { length } = stage.source.outputs
  await until('more frames', () => stage.source.outputs.length > length + 30)
  expect([stage.lease.pid, stage.told.restarts]).toEqual([pid, []])
  expect(millrace(python.directory, 'pipelines')).not.toMatch(/^apart-old/m)
  await using next = await python.start('apart-new')
  await shows(next.source, 17)
})

/** `millrace install` of one spec into a new folder, with more in the environment; shows a frame of what it brings. */
async function installedFrom(spec: string, pipeline: string, value: number, env: Record<string, string> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-from-'))
  try {
    // Of this process: what its clients need on this machine, such as certificates.
    const own = { ...process.env, HOME: directory, PIPELINE_DIR: directory }
    execFileSync(process.execPath, [CLI, 'install', `pip:${spec}`], {
      env: { ...own, ...env },
      stdio: 'pipe',
      timeout: 300_000,
    })
    const [environment = ''] = readdirSync(directory).filter((name) => name.startsWith('python-'))
    await using stage = await play(pipeline, {
      catalog: await discoverPipelines({ pipelineDir: directory }),
      defaultPipeline: pipeline,
    })
    await shows(stage.source, value)
    return readFileSync(join(directory, environment, 'pyvenv.cfg'), 'utf8')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The source of a package, in a folder that may be changed. */
function sourceOf(name: string): string {
  const folder = join(python.directory, 'copies', name)
  cpSync(fileURLToPath(new URL(`../../fixtures/python/${name}`, import.meta.url)), folder, { recursive: true })
  return folder
}

test('from a folder, by uv where it is there', async () => {
  const PATH = [process.env.PATH, await pythonTools('uv==0.13.9')].join(delimiter)
  const env = { PATH, UV_CACHE_DIR: join(python.directory, 'uv') }
  expect(await installedFrom(sourceOf('apart-new'), 'apart-new', 17, env)).toMatch(/^uv = 0\.13\.9$/m)
}, 400_000)

test('from a git address, at a commit', async () => {
  const source = sourceOf('apart-old')
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=me', '-c', 'user.email=me@example.org', ...args], {
      cwd: source,
      encoding: 'utf8',
    }).trim()
  git('init', '-q')
  git('add', '.')
  git('commit', '-qm', 'first')
  const address = 'https://example.org/apart.git'
  // As if that address were where the folder is.
  const env = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: `url.${source}.insteadOf`, GIT_CONFIG_VALUE_0: address }
  await installedFrom(`git+${address}@${git('rev-parse', 'HEAD')}`, 'apart-old', 16, env)
}, 400_000)

test('from an index, by name and version', async () => {
  const tools = await pythonTools('build==1.6.1', 'twine==7.0.0')
  const wheels = join(python.directory, 'wheels')
  const build = ['-m', 'build', '--wheel', '--outdir', wheels, sourceOf('apart-new')]
  execFileSync(join(tools, 'python'), build, { stdio: 'pipe', timeout: 200_000 })
  await installedFrom('apart-new==1.0.0', 'apart-new', 17, { PIP_FIND_LINKS: wheels })
}, 400_000)
