import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import { installPipelines } from '../../../src/pipeline/catalog/install.ts'
import {
  addingPipeline,
  npm,
  type OutsidePackage,
  outsideFolder,
  packPackage,
  writePackage,
} from '../../helpers/package/outside-package.ts'

const log = { info() {}, debug() {}, warn() {}, error() {}, child: () => log }
const context = { log }

const ADDS: OutsidePackage = {
  name: 'my-adds',
  pipelines: { adds: './index.js#Adds' },
  files: { 'index.js': addingPipeline('Adds', 1) },
}

/** An app folder with a tarball of the package. */
async function appWith(app: string, given: OutsidePackage): Promise<string> {
  const directory = writePackage(join(app, '..', given.name), given)
  return packPackage(directory, app)
}

function options(app: string, specs: string[]) {
  return { specs, appDir: app, pipelineDir: join(app, '.millrace', 'pipelines'), version: '0.1.0' }
}

async function folderWithApp() {
  const folder = outsideFolder()
  const app = writePackage(join(folder.path, 'app'), { name: 'app' })
  return { app, [Symbol.dispose]: () => folder[Symbol.dispose]() }
}

describe('AUTO_INSTALL_PIPELINE', () => {
  test('a tarball is installed into a folder of its own and found there', async () => {
    using folder = await folderWithApp()
    const { app } = folder
    await appWith(app, ADDS)
    const wanted = options(app, ['./my-adds-1.0.0.tgz'])
    await installPipelines(wanted, context)
    const catalog = await discoverPipelines({ pipelineDir: wanted.pipelineDir })
    expect(catalog.pipelines.get('adds')?.package).toMatchObject({ name: 'my-adds', version: '1.0.0' })
    expect(JSON.parse(readFileSync(join(app, 'package.json'), 'utf8'))).not.toHaveProperty('dependencies')
    expect(existsSync(join(app, 'node_modules'))).toBe(false)
  })

  test('the next start has nothing to do, even without npm; another tarball is installed', async () => {
    using folder = await folderWithApp()
    const { app } = folder
    await appWith(app, ADDS)
    const wanted = options(app, ['./my-adds-1.0.0.tgz'])
    await installPipelines(wanted, context)
    const entry = join(wanted.pipelineDir, 'node_modules', 'my-adds', 'index.js')
    writeFileSync(entry, '// touched')
    await installPipelines(wanted, context)
    expect(readFileSync(entry, 'utf8')).toBe('// touched')
    await appWith(app, { ...ADDS, files: { 'index.js': addingPipeline('Adds', 2) } })
    await installPipelines(wanted, context)
    expect(readFileSync(entry, 'utf8')).toContain('value + 2')
  })

  test('scripts of packages do not run', async () => {
    using folder = await folderWithApp()
    const { app } = folder
    const touch = `node -e "require('fs').writeFileSync('${join(app, 'ran')}', '')"`
    const scripts = { preinstall: touch, install: touch, postinstall: touch, prepare: touch }
    const directory = writePackage(join(app, '..', 'evil'), { ...ADDS, name: 'evil', more: { scripts } })
    await npm(['pack', '--ignore-scripts', '--pack-destination', app], directory)
    await installPipelines(options(app, ['./evil-1.0.0.tgz']), context)
    expect(existsSync(join(app, 'ran'))).toBe(false)
    // The scripts do run without our flag.
    const elsewhere = writePackage(join(app, '..', 'elsewhere'), { name: 'elsewhere' })
    await npm(
      [
        'install',
        '--legacy-peer-deps',
        '--ignore-scripts=false',
        '--dangerously-allow-all-scripts',
        join(app, 'evil-1.0.0.tgz'),
      ],
      elsewhere,
    )
    expect(existsSync(join(app, 'ran'))).toBe(true)
  })

  test('one invalid spec among valid ones: nothing is installed', async () => {
    using folder = await folderWithApp()
    const { app } = folder
    await appWith(app, ADDS)
    const wanted = options(app, ['./my-adds-1.0.0.tgz', 'x@1.0.0; touch ran'])
    await expect(installPipelines(wanted, context)).rejects.toMatchObject({ code: 'invalid-request' })
    expect(existsSync(wanted.pipelineDir)).toBe(false)
  })

  test('a failed npm install is reported with the output of npm', async () => {
    using folder = await folderWithApp()
    const { app } = folder
    writeFileSync(join(app, 'broken-1.0.0.tgz'), 'this is no tarball')
    const wanted = options(app, ['./broken-1.0.0.tgz'])
    await expect(installPipelines(wanted, context)).rejects.toThrow(
      /could not install .*broken-1\.0\.0\.tgz: npm error /,
    )
    expect((await discoverPipelines({ pipelineDir: wanted.pipelineDir })).pipelines.size).toBe(0)
  })

  test.each<[string, Partial<OutsidePackage>, string]>([
    ['without pipelines', { pipelines: undefined as never }, 'could not install my-adds: it has no pipelines'],
    [
      'for another server',
      { more: { peerDependencies: { millrace: '^9.0.0' } } },
      'needs millrace ^9.0.0, this is 0.1.0',
    ],
    ['without its file', { files: { 'other.js': '' } }, 'does not exist; is the package built?'],
  ])('a package %s', async (_, change, message) => {
    using folder = await folderWithApp()
    const { app } = folder
    await appWith(app, { ...ADDS, ...change })
    await expect(installPipelines(options(app, ['./my-adds-1.0.0.tgz']), context)).rejects.toThrow(message)
  })

  test('a link in the folder does not redirect npm', async () => {
    using folder = await folderWithApp()
    const { app } = folder
    const tarball = await packPackage(writePackage(join(app, '..', 'my-adds'), ADDS), join(app, '..'))
    symlinkSync(tarball, join(app, 'link.tgz'))
    await expect(installPipelines(options(app, ['./link.tgz']), context)).rejects.toThrow('lies outside')
  })
})
