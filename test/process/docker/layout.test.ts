import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Child } from '../../../src/core/child.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { waitFor } from '../../helpers/wait.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const BUILD_MS = 240_000

let folder: string
let app: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mr-docker-'))
  app = join(folder, 'app')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The checkout as `COPY . .` puts it into an image, with what `docker/build.sh dependencies` would install. */
function copySources(): string {
  const source = join(folder, 'source')
  const { stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' })
  const wanted = stdout.split('\0').filter((path) => path !== '' && !/^(test|bench)\//.test(path))
  for (const path of wanted) {
    mkdirSync(dirname(join(source, path)), { recursive: true })
    cpSync(join(ROOT, path), join(source, path), { errorOnExist: false })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(source, 'node_modules'))
  return source
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

const environment = (port: number) => ({
  ...{ PATH: process.env.PATH, HOME: folder, HOST: '127.0.0.1', PORT: String(port), UDP_PORTS: '51100-51110' },
  ...{ MODEL_DIR: join(folder, 'models'), PIPELINE_DIR: join(folder, 'pipelines'), NODE_ENV: 'production' },
})
const run = (command: string, args: string[], port = 1) =>
  spawnSync(command, args, { cwd: app, encoding: 'utf8', env: environment(port), timeout: 60_000 })

describe('the contents of an image, outside Docker', () => {
  it(
    'is built by the script that the Dockerfiles call',
    () => {
      const script = join(copySources(), 'docker/build.sh')
      for (const part of ['packages', 'app']) {
        const { status, stderr, stdout } = spawnSync(script, [part, app], { encoding: 'utf8', timeout: BUILD_MS })
        expect(status, `${stdout}\n${stderr}`).toBe(0)
      }
      const { version } = JSON.parse(readFileSync(join(app, 'millrace/package.json'), 'utf8'))
      expect(run(join(app, 'docker/entrypoint.sh'), ['--version']).stdout.trim()).toBe(version)
      expect(run('ls', ['millrace/node_modules']).stdout.split('\n')).not.toContain('vitest')
      for (const left of ['@ffmpeg-installer', 'fluent-ffmpeg/coverage'])
        expect(existsSync(join(app, 'millrace/node_modules', left)), left).toBe(false)
    },
    BUILD_MS,
  )

  it('has the commands, and runs other programs unchanged', () => {
    const entrypoint = join(app, 'docker/entrypoint.sh')
    expect(run(entrypoint, ['pipelines']).stdout).toMatch(/^effects [\s\S]*^noop /m)
    expect(run(entrypoint, ['echo', 'hello']).stdout).toBe('hello\n')
    const doctor = run(entrypoint, ['doctor', '--json'])
    expect(JSON.parse(doctor.stdout).map(({ subject }: { subject: string }) => subject)).toContain('ffmpeg')
  })

  it(
    'installs a Python pipeline with the bundled SDK, and uninstalls it',
    () => {
      const entrypoint = join(app, 'docker/entrypoint.sh')
      const source = join(folder, 'my-pipeline')
      cpSync(join(ROOT, 'test/fixtures/python/my-pipeline'), source, { recursive: true })
      const millrace = (...args: string[]) =>
        spawnSync(entrypoint, args, { cwd: app, encoding: 'utf8', env: environment(1), timeout: BUILD_MS })
      const { status, stderr } = millrace('install', `pip:${source}`)
      expect(status, stderr).toBe(0)
      expect(millrace('pipelines').stdout).toMatch(/^my-pipeline +my-pipeline@0\.1\.0/m)
      expect(millrace('prepare', 'my-pipeline').stdout).toContain('Preparing MyPipeline models')
      expect(millrace('uninstall', 'my-pipeline').stdout).toBe('my-pipeline\n')
      expect(millrace('pipelines').stdout).not.toMatch(/^my-pipeline/m)
    },
    BUILD_MS,
  )

  it('starts, becomes healthy, processes a stream, and stops on SIGTERM', async () => {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const health = () => run(process.execPath, [join(app, 'docker/health.mjs')], port)
    expect(health()).toMatchObject({ status: 1, stdout: expect.stringContaining('/health') })
    const server = await Child.spawn({
      command: join(app, 'docker/entrypoint.sh'),
      args: [],
      stdio: ['ignore', 'ignore', 'ignore'],
      env: environment(port),
      cwd: app,
    })
    try {
      await waitFor('health', () => health().status === 0, { everyMs: 300 })
      expect(health().stdout.trim()).toBe('IDLE')
      expect((await http('GET', `${url}/`)).text).toContain('<title>Millrace</title>')
      expect((await http('GET', `${url}/docs`)).status).toBe(200)
      expect((await http('POST', `${url}/test-pattern/demo?pipeline=effects`)).status).toBe(201)
      await waitFor('frames', async () => {
        const { json } = await httpJson<{ inference: { fps: number } }>('GET', `${url}/streams/demo`)
        return json.inference.fps > 10
      })
    } finally {
      await server.close()
    }
    expect(server.exit).toMatchObject({ code: 0 })
    expect(health().status).toBe(1)
  })
})
