import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { discoverPipelines, findPipeline } from '../../../../src/pipeline/catalog/catalog.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-catalog-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Writes a package whose only module would exit the test process when imported. */
function write(directory: string, json: unknown, files = ['index.js']): string {
  const path = join(root, directory)
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, 'package.json'), typeof json === 'string' ? json : JSON.stringify(json))
  for (const file of files) writeFileSync(join(path, file), 'process.exit(1)')
  return path
}
const pipelines = (name: string, declared: unknown, more = {}) => ({
  name,
  version: '1.2.3',
  millrace: { pipelines: declared },
  ...more,
})
const discover = () =>
  discoverPipelines({ builtinDir: join(root, 'builtin'), appDir: join(root, 'app'), pipelineDir: join(root, 'put') })

test('finds built-in pipelines, dependencies of the app and PIPELINE_PATH, and imports nothing', async () => {
  write('builtin/one', pipelines('one', { one: './index.js#One' }))
  write('app', { name: 'app', dependencies: { two: '*', '@scope/three': '*', plain: '*', missing: '*' } })
  write(
    'app/node_modules/two',
    pipelines('two', {
      two: { entry: './index.js#Two', params: { strength: 0.4 }, presets: { 'Very soft': { strength: 0.1 } } },
    }),
  )
  write('app/node_modules/@scope/three', pipelines('@scope/three', { three: './index.js#Three' }))
  write('app/node_modules/plain', { name: 'plain' })
  write('app/node_modules/seven', pipelines('seven', { seven: './index.js#Seven' }))
  write('app/node_modules/odd', '{ "dependencies": "none of ours" }')
  write(
    'put/four',
    pipelines('four', { four: './index.js#Four', 'four-fast': './index.js#Fast' }, { description: 'Four' }),
  )
  write('put/node_modules/five', pipelines('five', { five: './index.js#Five' }))
  write('put/node_modules/@scope/six', pipelines('@scope/six', { six: './index.js#Six' }))
  const catalog = await discover()
  expect([...catalog.pipelines.keys()].sort()).toEqual([
    ...['five', 'four', 'four-fast', 'one', 'seven', 'six', 'three', 'two'],
  ])
  expect(catalog.rejected).toEqual([])
  expect(catalog.pipelines.get('two')).toMatchObject({
    exportName: 'Two',
    params: { strength: 0.4 },
    presets: { 'Very soft': { strength: 0.1 } },
  })
  expect(catalog.pipelines.get('four')).toMatchObject({
    name: 'four',
    exportName: 'Four',
    params: {},
    package: { name: 'four', version: '1.2.3', description: 'Four' },
  })
  expect(() => findPipeline(catalog, 'eight')).toThrow('there is no pipeline eight; there are: five, four, four-fast')
})

test('dependencies are found where npm, or a workspace, installs them', async () => {
  const target = write('elsewhere/linked', pipelines('linked', { linked: './index.js#Linked' }))
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  symlinkSync(target, join(root, 'node_modules/linked'))
  write('app', { name: 'app', dependencies: { linked: 'file:../elsewhere/linked' } })
  const { pipelines: found } = await discover()
  expect(found.get('linked')?.entryFile).toContain('elsewhere/linked/index.js')
})

test('a package found twice is listed once', async () => {
  const target = write('put/mine', pipelines('mine', { mine: './index.js#Mine' }))
  mkdirSync(join(root, 'app/node_modules'), { recursive: true })
  symlinkSync(target, join(root, 'app/node_modules/mine'))
  write('app', { name: 'app', dependencies: { mine: '*' } })
  expect([...(await discover()).pipelines.keys()]).toEqual(['mine'])
})

test('an app without a name, as npm creates it in an empty folder, counts', async () => {
  write('app', { dependencies: { two: '*' } })
  write('app/node_modules/two', pipelines('two', { two: './index.js#Two' }))
  write('app/node_modules/nameless', { millrace: { pipelines: { three: './index.js#Three' } } })
  const catalog = await discover()
  expect(catalog.rejected).toEqual([])
  expect(catalog.pipelines.get('two')?.package.name).toBe('two')
  expect(catalog.pipelines.get('three')?.package).toMatchObject({ name: 'nameless', version: '0.0.0' })
})

test.each<[string, string, string]>([
  ['npm', 'package.json', '{"workspaces":["packages/*","tools/one"]}'],
  ['Yarn', 'package.json', '{"private":true,"workspaces":{"packages":["packages/**","tools/*","!tools/two"]}}'],
  ['pnpm', 'pnpm-workspace.yaml', 'packages:\n  - packages/*   # all\n  - "tools/*"\n  - "!tools/two"\n'],
])(
  'the root of a workspace of %s has the pipelines of its packages and of their dependencies',
  async (_, file, text) => {
    write('app', { private: true })
    writeFileSync(join(root, 'app', file), text)
    const target = write('app/packages/mine', pipelines('@us/mine', { mine: './index.js#Mine' }))
    write('app/packages/mine/node_modules/own', pipelines('own', { own: './index.js#Own' }))
    write('app/packages/server', { name: 'server', dependencies: { hoisted: '*' } })
    write('app/node_modules/hoisted', pipelines('hoisted', { hoisted: './index.js#Hoisted' }))
    write('app/tools/one', pipelines('one', { one: './index.js#One' }))
    write('app/tools/two', pipelines('two', { two: './index.js#Two' }))
    mkdirSync(join(root, 'app/node_modules/@us'))
    symlinkSync(target, join(root, 'app/node_modules/@us/mine'))
    const catalog = await discover()
    expect([...catalog.pipelines.keys()].sort()).toEqual(['hoisted', 'mine', 'one', 'own'])
    expect(catalog.rejected).toEqual([])
  },
)

test('an unusable package in node_modules is rejected with the reason', async () => {
  write('app', { name: 'app' })
  write('app/node_modules/unbuilt', pipelines('unbuilt', { p: './dist/index.js#P' }))
  write('app/node_modules/@us/torn', '{ "millrace": { "pipelines": ')
  symlinkSync(join(root, 'gone'), join(root, 'app/node_modules/gone'))
  writeFileSync(join(root, 'app/pnpm-workspace.yaml'), 'packages: 7')
  const { rejected } = await discover()
  expect(Object.fromEntries(rejected.map(({ where, reason }) => [where.split('/').at(-1), reason]))).toEqual({
    unbuilt: expect.stringContaining('does not exist; is the package built?'),
    torn: expect.stringContaining('package.json: '),
    gone: 'it is a link to a folder that is not there',
    app: expect.stringContaining('the workspace cannot be read'),
  })
})

test('two packages with one name: the error names both', async () => {
  write('put/a', pipelines('a', { same: './index.js#A' }))
  write('put/b', pipelines('b', { same: './index.js#B' }))
  await expect(discover()).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringMatching(/named same: a \(.*put\/a\) and b \(.*put\/b\)/),
  })
})

test.each<[string, unknown, RegExp]>([
  ['no such file', pipelines('p', { p: './missing.js#P' }), /missing\.js does not exist; is the package built/],
  ['no export', pipelines('p', { p: './index.js' }), /names no export/],
  ['an empty export', pipelines('p', { p: './index.js#' }), /names no export/],
  ['outside of the package', pipelines('p', { p: '../other/index.js#P' }), /outside of the package/],
  ['an absolute path', pipelines('p', { p: '/etc/passwd#P' }), /outside of the package/],
  ['a bad name', pipelines('p', { 'p q': './index.js#P' }), /name must match/],
  ['a bad declaration', pipelines('p', { p: { file: './index.js#P' } }), /must be "\.\/file\.js#Export"/],
  ['a preset that is none', pipelines('p', { p: { entry: './index.js#P', presets: { Soft: 3 } } }), /"presets"/],
  ['unknown keys', pipelines('p', { p: { entry: './index.js#P', prams: {} } }), /must be/],
  ['pipelines that are none', pipelines('p', 'index.js'), /millrace\.pipelines/],
  ['broken JSON', '{ "name": ', /JSON/],
  [
    'another version of the server',
    pipelines('p', { p: './index.js#P' }, { peerDependencies: { millrace: '^99.0.0' } }),
    /needs millrace \^99\.0\.0, this is \d/,
  ],
  [
    'no version range',
    pipelines('p', { p: './index.js#P' }, { peerDependencies: { millrace: 'newest' } }),
    /not a version range: newest/,
  ],
])('%s is rejected with the reason', async (_, json, reason) => {
  write('put/p', json)
  write('put/good', pipelines('good', { good: './index.js#Good' }))
  const catalog = await discover()
  expect([...catalog.pipelines.keys()]).toEqual(['good'])
  expect(catalog.rejected).toEqual([{ where: expect.stringContaining('put/p'), reason: expect.stringMatching(reason) }])
})

test('an invalid pipeline of a package does not affect the others', async () => {
  write('put/p', pipelines('p', { good: './index.js#Good', bad: './missing.js#Bad' }))
  const catalog = await discover()
  expect([...catalog.pipelines.keys()]).toEqual(['good'])
  expect(catalog.rejected[0]?.where).toMatch(/^bad of p in /)
})

test('a package compiled in place has its JavaScript beside its TypeScript', async () => {
  write('put/p', pipelines('p', { p: './index.ts#P' }))
  expect((await discover()).pipelines.get('p')?.entryFile).toMatch(/index\.js$/)
})

test('folders that do not exist are empty', async () => {
  expect(await discover()).toEqual({ pipelines: new Map(), rejected: [] })
})
