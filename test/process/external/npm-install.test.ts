import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import { installPipelines } from '../../../src/pipeline/catalog/install.ts'
import { addingPipeline, npm, outsideFolder, packPackage, writePackage } from '../../helpers/package/outside-package.ts'

const CLI = fileURLToPath(new URL('../../../src/cli.ts', import.meta.url))
const run = promisify(execFile)
const log = { info() {}, debug() {}, warn() {}, error() {}, child: () => log }

const adds = (name: string, more = {}) => ({
  name: `my-${name}`,
  pipelines: { [name]: './index.js#Adds' },
  files: { 'index.js': addingPipeline('Adds', 1) },
  more,
})

/** Runs npm without a registry; returns its output, or rejects with it. */
async function millrace(cwd: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, npm_config_offline: 'true', PYTHON: 'none' }
  const { stdout } = await run(process.execPath, [CLI, ...args], { cwd, env, timeout: 120_000 }).catch((error) => {
    throw new Error(`${error.stdout}${error.stderr}`)
  })
  return stdout
}

const found = async (appDir: string) =>
  [
    ...(await discoverPipelines({ appDir, pipelineDir: join(appDir, '.millrace', 'pipelines') })).pipelines.keys(),
  ].sort()

describe('millrace install', () => {
  test('installs folders and tarballs with their dependencies, and uninstall accepts either name', async () => {
    using folder = outsideFolder()
    const app = writePackage(join(folder.path, 'app'), { name: 'app' })
    writePackage(join(folder.path, 'needed'), { name: 'needed', files: { 'index.js': 'export {}' } })
    writePackage(join(folder.path, 'one'), adds('one', { dependencies: { needed: 'file:../needed' } }))
    const tarball = await packPackage(writePackage(join(folder.path, 'two'), adds('two')), app)
    expect(await millrace(app, 'install', '../one', basename(tarball))).toMatch(
      /^one +my-one@1\.0\.0\ntwo +my-two@1\.0\.0\n$/,
    )
    expect(await found(app)).toEqual(['one', 'two'])
    expect(existsSync(join(app, 'node_modules'))).toBe(false)
    // A second install is an update.
    writePackage(join(folder.path, 'one'), { ...adds('one'), version: '1.1.0' })
    expect(await millrace(app, 'install', '../one')).toMatch(/^one +my-one@1\.1\.0\n$/)
    expect(await millrace(app, 'uninstall', 'my-one')).toBe('one\n')
    expect(await millrace(app, 'uninstall', 'two')).toBe('two\n')
    expect(await found(app)).toEqual([])
    await expect(millrace(app, 'uninstall', 'two')).rejects.toThrow('no pipeline two is installed')
  })

  test('keeps the previous state when a package has no pipeline, does not exist, or is not a package', async () => {
    using folder = outsideFolder()
    const app = writePackage(join(folder.path, 'app'), { name: 'app' })
    writePackage(join(folder.path, 'one'), adds('one'))
    writePackage(join(folder.path, 'plain'), { name: 'plain' })
    writePackage(join(folder.path, 'new'), adds('new', { peerDependencies: { millrace: '^99.0.0' } }))
    mkdirSync(join(folder.path, 'empty'))
    const nameless = writePackage(join(folder.path, 'nameless'), adds('nameless'))
    writeFileSync(join(nameless, 'package.json'), '{"millrace":{"pipelines":{"nameless":"./index.js#Adds"}}}')
    writeFileSync(join(writePackage(join(folder.path, 'broken'), adds('broken')), 'package.json'), '{ no')
    await millrace(app, 'install', '../one')
    for (const [spec, reason] of [
      ['../plain', 'it has no pipelines'],
      ['../new', 'needs millrace ^99.0.0'],
      ['../empty', 'has no package.json and no pyproject.toml'],
      ['../nowhere', 'does not exist'],
      ['nobody-has-this-package-of-millrace', 'could not install'],
      ['../nameless', 'has no name in its package.json'],
      ['../broken', 'cannot be read: package.json: '],
      ['', 'is no package'],
    ])
      await expect(millrace(app, 'install', spec!), spec).rejects.toThrow(reason)
    expect(await found(app)).toEqual(['one'])
    expect(existsSync(join(app, '.millrace/pipelines/node_modules/plain'))).toBe(false)
  })

  test('is unaffected by changes of AUTO_INSTALL_PIPELINE', async () => {
    using folder = outsideFolder()
    const app = writePackage(join(folder.path, 'app'), { name: 'app' })
    writePackage(join(folder.path, 'one'), adds('one'))
    await millrace(app, 'install', '../one')
    const pipelineDir = join(app, '.millrace', 'pipelines')
    for (const name of ['two', 'three']) {
      await packPackage(writePackage(join(folder.path, name), adds(name)), app)
      const options = { specs: [`./my-${name}-1.0.0.tgz`], appDir: app, pipelineDir, version: '0.1.0' }
      await installPipelines(options, { log })
      expect(await found(app)).toEqual(['one', name].sort())
    }
  })
})

describe('found where npm installs it', () => {
  test('by npm link, beside a package.json without a name', async () => {
    using folder = outsideFolder()
    const app = join(folder.path, 'app')
    mkdirSync(app)
    writeFileSync(join(app, 'package.json'), '{}')
    writePackage(join(folder.path, 'one'), adds('one'))
    mkdirSync(join(folder.path, 'global', 'lib'), { recursive: true })
    // The global prefix of npm is a folder of this test.
    await npm(['link', '../one'], app, { npm_config_prefix: join(folder.path, 'global') })
    expect(await found(app)).toEqual(['one'])
    expect(await millrace(app, 'pipelines')).toMatch(/^one +my-one@1\.0\.0/m)
  })

  test('in the root of a workspace', async () => {
    using folder = outsideFolder()
    const root = writePackage(join(folder.path, 'root'), { name: 'root', more: { workspaces: ['packages/*'] } })
    writePackage(join(root, 'packages', 'one'), adds('one'))
    writePackage(join(folder.path, 'two'), adds('two'))
    writePackage(join(root, 'packages', 'server'), {
      name: 'server',
      more: { dependencies: { 'my-two': 'file:../../../two' } },
    })
    await npm(['install', '--legacy-peer-deps'], root)
    expect(await found(root)).toEqual(['one', 'two'])
  })

  test('whatever else lies there', async () => {
    using folder = outsideFolder()
    const app = join(folder.path, 'app')
    mkdirSync(join(app, 'node_modules', 'odd', 'package.json'), { recursive: true })
    writeFileSync(join(app, 'node_modules', '@file'), '')
    writeFileSync(join(app, 'package.json'), '\uFEFF{"workspaces":["."," ","packages/*/","!packages/no","../nowhere"]}')
    writePackage(join(app, 'packages', 'one'), adds('one'))
    writePackage(join(app, 'packages', 'no'), adds('no'))
    expect(await found(app)).toEqual(['one'])
    const listed = await millrace(app, 'pipelines', '--verbose')
    expect(listed).toMatch(/^rejected .*node_modules.odd: package\.json: /m)
    expect(listed).toMatch(/^rejected .*@file: it is not a folder$/m)
  })

  test('and PIPELINE_DIR or a part of PYTHONPATH is a file', async () => {
    using folder = outsideFolder()
    const app = writePackage(join(folder.path, 'app'), { name: 'app' })
    writePackage(join(folder.path, 'one'), adds('one'))
    mkdirSync(join(app, '.millrace'))
    writeFileSync(join(app, '.millrace', 'pipelines'), '')
    expect(await millrace(app, 'pipelines', '--verbose')).toMatch(/^rejected .*pipelines: it is not a folder$/m)
    await expect(millrace(app, 'install', '../one')).rejects.toThrow(/^millrace: PIPELINE_DIR .* cannot be made/)
    process.env.PYTHONPATH = join(app, 'package.json')
    try {
      expect(await found(app)).toEqual([])
    } finally {
      delete process.env.PYTHONPATH
    }
  })

  test('or rejected with the reason', async () => {
    using folder = outsideFolder()
    const app = writePackage(join(folder.path, 'app'), { name: 'app' })
    mkdirSync(join(app, 'node_modules'))
    symlinkSync(join(folder.path, 'gone'), join(app, 'node_modules', 'gone'))
    expect(await millrace(app, 'pipelines', '--verbose')).toMatch(/^rejected .*gone: it is a link to a folder/m)
  })
})
