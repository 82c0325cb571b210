import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify, stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newestFrame } from '../../helpers/browser/newest-frame.ts'
import { LONG_CLIP } from '../../helpers/media/clip.ts'
import { copyFolder, outsideApp } from '../../helpers/package/outside-app.ts'
import { npm } from '../../helpers/package/outside-package.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const TOOLS = ['typescript', 'vitest', '@types/node']
const run = promisify(execFile)

/** Runs a command as the author of the package would; rejects with its output. */
async function type(command: string, cwd: string): Promise<string> {
  const [program = '', ...args] = command.split(' ')
  const { stdout, stderr } = await run(program, args, { cwd, timeout: 120_000 }).catch((error) => {
    throw new Error(`${command}: ${error.stdout}${error.stderr}`)
  })
  return stripVTControlCharacters(stdout + stderr)
}

/** Installs the server there from its tarball, and runs a stream through a pipeline. */
async function serveInstalled(cwd: string, pipeline: string, env: Record<string, string> = {}) {
  const cli = join(cwd, 'node_modules', 'millrace', 'dist', 'src', 'cli.js')
  const stage = await setStage({ cli, cwd, env: { PIPELINE: pipeline, ...env } })
  try {
    const clip = await stage.clip(LONG_CLIP)
    await stage.publish('demo', clip)
    await stage.waitForStatus('demo', 'the pipeline', ({ inference }) => inference.fps > 20)
    return stage
  } catch (thrown) {
    await stage[Symbol.asyncDispose]()
    throw thrown
  }
}

let outside: Awaited<ReturnType<typeof outsideApp>>
beforeAll(async () => {
  outside = await outsideApp(TOOLS)
}, 300_000)
afterAll(() => outside?.[Symbol.dispose]())

describe('9, 10, 16: millrace new', () => {
  let folder: string
  beforeAll(async () => {
    await type('npx --no-install millrace new my-negative', outside.path)
    // It uses the node_modules of the parent folder.
    folder = join(outside.path, 'my-negative')
    await type('npm run build', folder)
  })

  test('creates a package that builds and passes its tests unchanged', async () => {
    const files = readdirSync(folder).filter((name) => name !== 'dist')
    expect(files.sort()).toEqual(
      ['.dockerignore', '.gitignore', 'Dockerfile', 'README.md', 'package.json', 'src', 'test', 'tsconfig.json'].sort(),
    )
    expect(await type('npm test', folder)).toMatch(/Tests +\d+ passed/)
  })

  test('is found in its own folder, with its variant', async () => {
    const listed = await type('npx --no-install millrace pipelines', folder)
    expect(listed).toMatch(/^my-negative +my-negative@0\.1\.0/m)
    expect(listed).toMatch(/^my-negative-soft /m)
  })

  test('the types of the server reach the author', async () => {
    const file = join(folder, 'src', 'pipeline.ts')
    const good = readFileSync(file, 'utf8')
    for (const [from, to, message] of [
      ["format: 'rgb24'", "format: 'rgb42'", 'rgb42'],
      ['{ strength }', '{ strenght }', "'strenght' does not exist"],
      ['...frame, data:', '...frame, width: "1", data:', "'string' is not assignable to type 'number'"],
    ] as const) {
      writeFileSync(file, good.replace(from, to))
      await expect(type('npm run build', folder), to).rejects.toThrow(message)
    }
    writeFileSync(file, good)
  })

  test('19: the published files are those needed', async () => {
    const packed = await npm(['pack', '--dry-run', '--json', '--ignore-scripts'], folder)
    const [{ files }] = JSON.parse(packed.slice(packed.indexOf('['))) as [{ files: { path: string }[] }]
    expect(files.map(({ path }) => path).sort()).toEqual([
      'README.md',
      'dist/params.js',
      'dist/pipeline.js',
      'package.json',
    ])
  })
})

describe('17: examples/external-pipeline, from its tarball', () => {
  test('builds, passes its tests, is installed, prepared and run, and params change the frame', async () => {
    const source = join(outside.path, 'film-look')
    copyFolder('examples/external-pipeline', source)
    expect(await type('npm test', source)).toMatch(/Tests +\d+ passed/)
    await type(`npm pack --silent --pack-destination ${outside.path}`, source)

    using app = await outsideApp(TOOLS)
    await npm(['install', join(outside.path, 'film-look-1.0.0.tgz')], app.path)
    const listed = await type('npx --no-install millrace pipelines --verbose', app.path)
    expect(listed).toMatch(/^film-look +film-look@1\.0\.0/m)
    expect(listed).not.toContain('rejected')
    const prepared = await type('npx --no-install millrace prepare film-look', app.path)
    expect(prepared).toContain('table made look=noir')

    await using stage = await serveInstalled(app.path, 'film-look', { MODEL_DIR: join(app.path, 'models') })
    const colourful = (await newestFrame(stage.url, 'demo')).chroma
    expect(colourful).toBeGreaterThan(1)
    const { status } = await httpJson('POST', `${stage.url}/params`, { body: { look: 'noir' } })
    expect([200, 202]).toContain(status)
    await waitFor('a frame without colour', async () => (await newestFrame(stage.url, 'demo')).chroma < 0.6)
    const refused = await httpJson('POST', `${stage.url}/params`, { body: { look: 'sepia' } })
    expect(refused.status).toBe(422)

    // Built-in pipelines with dependencies work from the tarball too.
    await http('DELETE', `${stage.url}/streams/demo`)
    const clip = await stage.clip(LONG_CLIP)
    for (const name of ['redact', 'onnx']) {
      await stage.publish(name, clip, { query: `?pipeline=${name}` })
      await stage.waitForStatus(name, 'the model', ({ inference }) => inference.fps > 2)
      await http('DELETE', `${stage.url}/streams/${name}`)
    }
  })
})
