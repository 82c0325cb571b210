/** One test per feature of the external pipeline guide, by its row in §4.3 of the runner contract. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { readConfig } from '../../../src/config.ts'
import { type DiscoverOptions, discoverPipelines, findPipeline } from '../../../src/pipeline/catalog/catalog.ts'
import { addingPipeline, npm, outsideFolder, packPackage, writePackage } from '../../helpers/package/outside-package.ts'
import { openTestPool, play, until } from '../pipeline/support/hosts.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const run = promisify(execFile)
const log = { info() {}, debug() {}, warn() {}, error() {}, child: () => log }

/** Runs `millrace …` in a folder; returns exit code and output. */
async function millrace(args: string[], cwd: string, env: Record<string, string> = {}) {
  const options = { cwd, timeout: 60_000, env: { ...process.env, LOG_LEVEL: 'silent', ...env } }
  return run(process.execPath, [join(ROOT, 'src/cli.ts'), ...args], options).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code: code as number, stdout: String(stdout), stderr: String(stderr) }),
  )
}

const adds = (name: string, amount: number) => ({
  name,
  pipelines: { [name]: './index.js#Adds' },
  files: { 'index.js': addingPipeline('Adds', amount) },
})

/** Loads it as the server does. */
const discover = (options: DiscoverOptions) => discoverPipelines({ builtinDir: join(ROOT, 'pipelines'), ...options })

/** Output of a pipeline of a catalog for a sample of 0, with its default params. */
async function outputOf(catalog: Awaited<ReturnType<typeof discoverPipelines>>, name: string): Promise<number> {
  await using stage = await play(name, { catalog })
  await until('an output', () => stage.source.outputs.length > 0)
  const { pts, value } = stage.source.outputs[0]!
  return value - ((pts / 3000) % 251)
}

test('1: a package outside of the repository is loaded', async () => {
  using folder = outsideFolder()
  writePackage(join(folder.path, 'my-adds'), adds('my-adds', 1))
  const catalog = await discover({ pipelineDir: folder.path })
  expect(await outputOf(catalog, 'my-adds')).toBe(1)
})

test('2: a package for another version of the server is rejected', async () => {
  using folder = outsideFolder()
  const more = { peerDependencies: { millrace: '>=7' } }
  writePackage(join(folder.path, 'new-adds'), { ...adds('new-adds', 1), more })
  const { stdout } = await millrace(['pipelines', '--verbose'], folder.path, { PIPELINE_DIR: folder.path })
  expect(stdout).toMatch(/rejected +new-adds in \S+\/new-adds: needs millrace >=7, this is 0\.1\.0/)
})

test('3: the dependencies of the app are found, with name, package, version and path', async () => {
  using folder = outsideFolder()
  const app = join(folder.path, 'app')
  writePackage(join(folder.path, 'my-adds'), adds('my-adds', 1))
  writePackage(app, { name: 'app' })
  await npm(['install', '--legacy-peer-deps', '../my-adds'], app)
  const { stdout } = await millrace(['pipelines', '--verbose'], app)
  expect(stdout).toMatch(/^my-adds +my-adds@1\.0\.0/m)
  expect(stdout).toMatch(/\/my-adds\/index\.js#Adds/)
  const { stdout: json } = await millrace(['pipelines', '--json'], app)
  const found = JSON.parse(json) as { pipelines: { name: string }[] }
  expect(found.pipelines.find(({ name }) => name === 'my-adds')).toMatchObject({
    exportName: 'Adds',
    package: { name: 'my-adds', version: '1.0.0' },
  })
})

test('4: one key in the manifest; unknown ones are reported', async () => {
  using folder = outsideFolder()
  const pipelines = { 'my-adds': { entry: './index.js#Adds', parms: {} } }
  writePackage(join(folder.path, 'typo'), { ...adds('typo', 1), pipelines })
  writePackage(join(folder.path, 'more'), { ...adds('more', 1), more: { millrace: { pipelines: {}, params: {} } } })
  const { rejected } = await discover({ pipelineDir: folder.path })
  const reasons = rejected.map(({ where, reason }) => `${where}: ${reason}`)
  expect(reasons).toContainEqual(expect.stringMatching(/my-adds of typo .*: must be ".\/file.js#Export" or/))
  expect(reasons).toContainEqual(expect.stringMatching(/millrace\.params of more .*: unknown key; known: pipelines/))
})

describe('5: the name at launch', () => {
  test.each([
    [{ PIPELINE: 'my-adds', MODEL_ID: 'my-adds' }, 'my-adds'],
    [{ PIPELINE: 'live-video-to-video', MODEL_ID: 'my-adds' }, 'my-adds'],
    [{ PIPELINE: 'my-adds' }, 'my-adds'],
  ])('%j', (environment, expected) => expect(readConfig(environment).pipeline).toBe(expected))

  test('two different names are refused', () => {
    expect(() => readConfig({ PIPELINE: 'a', MODEL_ID: 'b' })).toThrow('set one of them, both to one name')
  })
})

test('6: params are described and validated before the model loads', async () => {
  using folder = outsideFolder()
  const index = `import { definePipeline } from 'millrace/pipeline'
import { Params } from './params.js'
export const Heavy = definePipeline({ params: Params, load: () => new Promise(() => {}) })`
  const params = `import { BaseParams, z } from 'millrace/pipeline'
export const Params = BaseParams.extend({ level: z.int().min(1).max(9).default(3).describe('How much') })`
  writePackage(join(folder.path, 'heavy'), {
    name: 'heavy',
    pipelines: { heavy: './index.js#Heavy' },
    files: { 'index.js': index, 'params.js': params },
  })
  await using world = await openTestPool({ catalog: await discover({ pipelineDir: folder.path }) })
  const { params: schema, defaults } = await world.pool.describe('heavy')
  expect(schema).toMatchObject({
    properties: { level: { minimum: 1, maximum: 9, default: 3, description: 'How much' } },
  })
  expect(defaults).toEqual({ level: 3, show_reloading_frame: true })
  const request = { pipeline: 'heavy', params: { level: 10 }, requestId: 'r', onFrame() {} }
  await expect(world.pool.lease(request, { log })).rejects.toMatchObject({ code: 'invalid-params' })
})

describe('7: every way of installing is equivalent', () => {
  const dependent = (name: string) => ({
    ...adds(name, 0),
    files: { 'index.js': addingPipeline('Adds', 'AMOUNT', "import { AMOUNT } from 'amount'") },
    more: { dependencies: { amount: '1.0.0' } },
  })
  const amount = { name: 'amount', more: { exports: './index.js' }, files: { 'index.js': 'export const AMOUNT = 7' } }

  test('as pnpm does, each package with links to its own dependencies', async () => {
    using folder = outsideFolder()
    const modules = join(folder.path, 'node_modules')
    const store = (name: string) => join(modules, '.pnpm', `${name}@1.0.0`, 'node_modules')
    writePackage(join(store('linked'), 'linked'), dependent('linked'))
    writePackage(join(store('amount'), 'amount'), amount)
    symlinkSync(join('..', '..', 'amount@1.0.0', 'node_modules', 'amount'), join(store('linked'), 'amount'))
    symlinkSync(join('.pnpm', 'linked@1.0.0', 'node_modules', 'linked'), join(modules, 'linked'))
    writePackage(folder.path, { name: 'app', more: { dependencies: { linked: '1.0.0' } } })
    expect(await outputOf(await discover({ appDir: folder.path }), 'linked')).toBe(7)
  })

  test('as a workspace, hoisted to the parent folder', async () => {
    using folder = outsideFolder()
    writePackage(folder.path, { name: 'all', more: { private: true, workspaces: ['packages/*'] } })
    const app = join(folder.path, 'packages', 'app')
    writePackage(app, { name: 'app', more: { dependencies: { hoisted: '1.0.0' } } })
    writePackage(join(folder.path, 'packages', 'hoisted'), dependent('hoisted'))
    writePackage(join(folder.path, 'packages', 'amount'), amount)
    await npm(['install', '--legacy-peer-deps'], folder.path)
    expect(await outputOf(await discover({ appDir: app }), 'hoisted')).toBe(7)
  })

  test('as a link to a folder, with its dependencies beside it', async () => {
    using folder = outsideFolder()
    const source = writePackage(join(folder.path, 'source', 'by-link'), dependent('by-link'))
    writePackage(join(source, 'node_modules', 'amount'), amount)
    const put = join(folder.path, 'put')
    mkdirSync(put)
    symlinkSync(source, join(put, 'by-link'))
    expect(await outputOf(await discover({ pipelineDir: put }), 'by-link')).toBe(7)
  })
})

describe('8: a separate process with all dependencies installed', () => {
  test('a failed import is reported, with the missing module', async () => {
    using folder = outsideFolder()
    const files = { 'index.js': addingPipeline('Adds', 1, "import 'no-such-package'") }
    writePackage(join(folder.path, 'lacking'), { ...adds('lacking', 1), files })
    await using world = await openTestPool({ catalog: await discover({ pipelineDir: folder.path }) })
    const lease = world.pool.lease({ pipeline: 'lacking', requestId: 'r', onFrame() {} }, { log })
    await expect(lease).rejects.toThrow(/could not import .*lacking\/index\.js: Cannot find package 'no-such-package'/)
  })

  test('conflicting versions of one dependency run side by side', async () => {
    using folder = outsideFolder()
    for (const [name, amount] of [
      ['one', 1],
      ['two', 2],
    ] as const) {
      const directory = writePackage(join(folder.path, name), {
        ...adds(name, 0),
        files: { 'index.js': addingPipeline('Adds', 'AMOUNT', "import { AMOUNT } from 'shared'") },
        more: { dependencies: { shared: `${amount}.0.0` } },
      })
      const files = { 'index.js': `export const AMOUNT = ${amount * 10}` }
      const shared = { name: 'shared', version: `${amount}.0.0`, files, more: { exports: './index.js' } }
      writePackage(join(directory, 'node_modules', 'shared'), shared)
    }
    const catalog = await discover({ pipelineDir: folder.path })
    expect(await Promise.all([outputOf(catalog, 'one'), outputOf(catalog, 'two')])).toEqual([10, 20])
  })

  test('other copies of zod and of the server in its tree do no harm', async () => {
    using folder = outsideFolder()
    const index = `import { BaseParams, definePipeline } from 'millrace/pipeline'
import { z } from 'zod'
export const Own = definePipeline({
  params: BaseParams.extend({ more: z.int().max(5).default(2) }),
  input: { format: 'gray' },
  load: () => ({ process: (frame, { more }) => ({ ...frame, data: frame.data.map((v) => v + more) }) }),
})`
    const directory = writePackage(join(folder.path, 'own'), {
      name: 'own',
      pipelines: { own: './index.js#Own' },
      files: { 'index.js': index },
    })
    cpSync(join(ROOT, 'node_modules', 'zod'), join(directory, 'node_modules', 'zod'), { recursive: true })
    const files = { 'pipeline.js': 'throw new Error("the wrong copy of the server")' }
    const exports = { './pipeline': './pipeline.js' }
    writePackage(join(directory, 'node_modules', 'millrace'), {
      name: 'millrace',
      version: '0.0.1',
      files,
      more: { exports },
    })
    const catalog = await discover({ pipelineDir: folder.path })
    expect(await outputOf(catalog, 'own')).toBe(2)
    await using world = await openTestPool({ catalog })
    const wrong = world.pool.lease({ pipeline: 'own', params: { more: 6 }, requestId: 'r', onFrame() {} }, { log })
    await expect(wrong).rejects.toMatchObject({ code: 'invalid-params' })
  })
})

test('11: common params of all pipelines, with their bounds', async () => {
  using folder = outsideFolder()
  writePackage(join(folder.path, 'my-adds'), adds('my-adds', 1))
  await using world = await openTestPool({ catalog: await discover({ pipelineDir: folder.path }) })
  const lease = async (params: Record<string, unknown>) => {
    const request = { pipeline: 'my-adds', params, requestId: 'r', onFrame() {} }
    await using open = await world.pool.lease(request, { log })
    return open.input
  }
  for (const side of [64, 384, 1024, 3840])
    expect(await lease({ width: side, height: side })).toMatchObject({ width: side })
  for (const [width, height] of [
    [62, 64],
    [65, 64],
    [3842, 64],
    [64, undefined],
    ['64', 64],
  ])
    await expect(lease({ width, height }), `${width}x${height}`).rejects.toMatchObject({ code: 'invalid-params' })
})

describe('12: installed from', () => {
  test.each(['a folder', 'a tarball', 'a git address', 'npm link'])('%s', async (way) => {
    using folder = outsideFolder()
    const source = writePackage(join(folder.path, 'my-adds'), adds('my-adds', 1))
    const app = writePackage(join(folder.path, 'app'), { name: 'app' })
    let spec = '../my-adds'
    if (way === 'a tarball') spec = await packPackage(source, folder.path)
    if (way === 'a git address') {
      const git = (...args: string[]) =>
        run('git', ['-c', 'user.name=me', '-c', 'user.email=me@example.org', ...args], { cwd: source })
      await git('init', '-q')
      await git('add', '.')
      await git('commit', '-qm', 'first')
      spec = `git+file://${source}`
    }
    if (way === 'npm link') {
      mkdirSync(join(folder.path, 'global', 'lib'), { recursive: true })
      const env = { npm_config_prefix: join(folder.path, 'global') }
      await npm(['link', '--save', '--legacy-peer-deps', spec], app, env)
    } else await npm(['install', '--legacy-peer-deps', spec], app)
    const catalog = await discover({ appDir: app })
    expect(catalog.rejected).toEqual([])
    expect(await outputOf(catalog, 'my-adds')).toBe(1)
  })
})

describe('15: AUTO_INSTALL_PIPELINE', () => {
  test('a tarball is installed and runs', async () => {
    using folder = outsideFolder()
    const app = writePackage(join(folder.path, 'app'), { name: 'app' })
    await packPackage(writePackage(join(folder.path, 'my-adds'), adds('my-adds', 1)), app)
    const env = { AUTO_INSTALL_PIPELINE: './my-adds-1.0.0.tgz', PREPARE_MODELS: '1', PIPELINE: 'my-adds' }
    const { code, stdout, stderr } = await millrace([], app, env)
    expect(code).toBe(0)
    expect(stderr).toContain('installing pipelines')
    expect(stdout).toContain('my-adds (my-adds@1.0.0)')
  })

  test('an invalid spec fails the start with a message', async () => {
    using folder = outsideFolder()
    const { code, stderr } = await millrace(['serve', '--port', '0'], folder.path, { AUTO_INSTALL_PIPELINE: 'x; id' })
    expect(code).toBe(2)
    expect(stderr).toContain('AUTO_INSTALL_PIPELINE: "x; id" has characters that no package needs; accepted: ')
  })
})

test('20: variants of one class, with their own params and names', async () => {
  using folder = outsideFolder()
  const index = `import { BaseParams, definePipeline, z } from 'millrace/pipeline'
export const Adds = definePipeline({
  params: BaseParams.extend({ more: z.int().default(1) }),
  input: { format: 'gray' },
  load: (_, { name }) => ({
    process: (frame, { more }) => ({ ...frame, data: frame.data.map((v) => v + more + (name.endsWith('-hq') ? 50 : 0)) }),
  }),
})`
  const entry = './index.js#Adds'
  writePackage(join(folder.path, 'adds'), {
    name: 'adds',
    pipelines: {
      adds: entry,
      'adds-fast': { entry, params: { more: 20 } },
      'adds-hq': { entry, params: { more: 30 } },
    },
    files: { 'index.js': index },
  })
  const catalog = await discover({ pipelineDir: folder.path })
  const outputs = await Promise.all(['adds', 'adds-fast', 'adds-hq'].map((name) => outputOf(catalog, name)))
  expect(outputs).toEqual([1, 20, 80])
})

describe('21: not found', () => {
  test('the error lists the available pipelines', async () => {
    using folder = outsideFolder()
    writePackage(join(folder.path, 'my-adds'), adds('my-adds', 1))
    const catalog = await discoverPipelines({ builtinDir: join(ROOT, 'pipelines'), pipelineDir: folder.path })
    expect(() => findPipeline(catalog, 'my-add')).toThrow(
      'there is no pipeline my-add; there are: effects, meter, my-adds, noop, onnx, redact',
    )
  })

  test('the list has the reason why each candidate was rejected', async () => {
    using folder = outsideFolder()
    const entries = { absent: './none.js#X', nameless: './index.js', outside: '../x.js#X', 'bad name': './index.js#X' }
    writePackage(join(folder.path, 'broken'), { name: 'broken', pipelines: entries, files: { 'index.js': '' } })
    writePackage(join(folder.path, 'torn'), { name: 'torn' })
    writeFileSync(join(folder.path, 'torn', 'package.json'), '{ "name": "torn", ')
    const { stdout } = await millrace(['pipelines', '--verbose'], folder.path, { PIPELINE_DIR: folder.path })
    expect(stdout).toMatch(/rejected +absent of broken .*none\.js does not exist; is the package built\?/)
    expect(stdout).toMatch(/rejected +nameless of broken .*names no export/)
    expect(stdout).toMatch(/rejected +outside of broken .*lies outside of the package/)
    expect(stdout).toMatch(/rejected +bad name of broken .*a pipeline's name must match/)
    expect(stdout).toMatch(/rejected +\S+torn: .*JSON/)
  })

  test('two packages with one name are both named', async () => {
    using folder = outsideFolder()
    for (const name of ['first', 'second'])
      writePackage(join(folder.path, name), { ...adds(name, 1), pipelines: { same: './index.js#Adds' } })
    await expect(discover({ pipelineDir: folder.path })).rejects.toThrow(
      /two packages have a pipeline named same: first \(.*\) and second \(.*\)/,
    )
  })
})

test('22: an import that throws is reported with its stack', async () => {
  using folder = outsideFolder()
  const files = { 'index.js': `function load() {\n  throw new Error('no GPU here')\n}\nload()\n` }
  writePackage(join(folder.path, 'throws'), { ...adds('throws', 1), files })
  await using world = await openTestPool({ catalog: await discover({ pipelineDir: folder.path }) })
  const thrown = await world.pool.describe('throws').catch((error) => error)
  expect(thrown).toMatchObject({ code: 'pipeline-failed', message: expect.stringContaining('no GPU here') })
  expect(thrown.details.stack.join('\n')).toMatch(/at load .*throws\/index\.js:2/)
})

test('23: invalid params are reported by path, with what is accepted', async () => {
  using folder = outsideFolder()
  writePackage(join(folder.path, 'my-adds'), adds('my-adds', 1))
  const plain = `import { Pipeline, z } from 'millrace/pipeline'
export class Plain extends Pipeline { static Params = z.object({ a: z.string() }); async putVideoFrame() {} }`
  writePackage(join(folder.path, 'plain'), {
    name: 'plain',
    pipelines: { plain: './i.js#Plain' },
    files: { 'i.js': plain },
  })
  await using world = await openTestPool({ catalog: await discover({ pipelineDir: folder.path }) })
  const request = { pipeline: 'my-adds', params: { more: 'much' }, requestId: 'r', onFrame() {} }
  await expect(world.pool.lease(request, { log })).rejects.toMatchObject({
    code: 'invalid-params',
    issues: [{ path: ['more'], message: expect.stringMatching(/expected (int|number), received string/) }],
  })
  await expect(world.pool.describe('plain')).rejects.toThrow(
    'Params must extend BaseParams: width, height, show_reloading_frame missing',
  )
})

test('24: models are prepared by a command, which fails when one of them does', async () => {
  using folder = outsideFolder()
  const index = `import { definePipeline } from 'millrace/pipeline'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
const base = { load: () => ({ process: (frame) => frame }) }
export const Good = definePipeline({ ...base, async prepareModels({ modelDir, name, log }) {
  log.info({ download: 'good.bin', bytes: 5e6, totalBytes: 1e7 }, 'downloading')
  writeFileSync(join(modelDir, 'good.bin'), name)
} })
export const Bad = definePipeline({ ...base, async prepareModels() { throw new Error('no licence') } })`
  const pipelines = { good: './index.js#Good', bad: './index.js#Bad' }
  writePackage(join(folder.path, 'models'), { name: 'models', pipelines, files: { 'index.js': index } })
  const env = { PIPELINE_DIR: folder.path, MODEL_DIR: join(folder.path, 'kept') }
  const good = await millrace(['prepare', 'good'], folder.path, env)
  expect(good).toMatchObject({ code: 0, stderr: '' })
  expect(good.stdout).toContain('good.bin  50 % 5.0 of 10.0 MB')
  expect(good.stdout).toContain('All models are in')
  const all = await millrace(['prepare'], folder.path, env)
  expect(all.code).toBe(1)
  expect(all.stdout).toMatch(/failed: .*no licence/)
  expect(all.stdout).toMatch(/\d of \d pipelines are ready; these are not: bad/)
  const asked = await millrace([], folder.path, { ...env, PREPARE_MODELS: '1', PIPELINE: 'bad' })
  expect(asked.code).toBe(1)
})

test('the file name of a tarball does not matter', async () => {
  using folder = outsideFolder()
  const tarball = await packPackage(
    writePackage(join(folder.path, 'a'), adds('@scope/my-adds'.replace('@scope/', ''), 1)),
    folder.path,
  )
  renameSync(tarball, join(folder.path, 'other.tgz'))
  const app = writePackage(join(folder.path, 'app'), { name: 'app' })
  await npm(['install', '--legacy-peer-deps', '../other.tgz'], app)
  expect((await discover({ appDir: app })).pipelines.has('my-adds')).toBe(true)
})
