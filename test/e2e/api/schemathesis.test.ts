import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { keptFolder, makeOnce } from '../../helpers/package/kept.ts'
import { http } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'

const SCHEMATHESIS = 'schemathesis==4.32.5'
const FIXTURES = fileURLToPath(new URL('../../fixtures/schemathesis', import.meta.url))
const TOKEN = 'of-the-test'
/** Operations left out, with the reason. */
const LEFT_OUT = {
  getEvents: 'events come until the stream ends',
  getOutJsonl: 'data comes until the stream ends',
  getOutTs: 'media comes until the stream ends',
  getPlacements: 'lines come for as long as somebody listens',
  getTrickleSegment: 'waits for a segment that is not there yet',
  postIngest: 'is answered when the publisher ends',
  startTestPattern: 'starts an encoder, and is answered by its first frame',
  putIngest: 'is answered when the publisher ends',
}

const run = promisify(execFile)

/** Path of its command in a virtual environment that is created once, in place: the paths inside are absolute. */
async function installed(): Promise<string> {
  const environment = join(keptFolder('millrace-test-tools'), SCHEMATHESIS)
  await makeOnce(`${environment}.made`, async (part) => {
    await run('python3', ['-m', 'venv', '--clear', environment], { timeout: 120_000 })
    const pip = ['install', '--quiet', '--disable-pip-version-check', '--no-compile', SCHEMATHESIS]
    await run(join(environment, 'bin', 'pip'), pip, { timeout: 300_000 })
    writeFileSync(part, '')
  })
  return join(environment, 'bin', 'st')
}

let folder: string
let schemathesis: string
let server: TestServer
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mr-schemathesis-'))
  schemathesis = await installed()
  const tokens = { AUTH_TOKEN: TOKEN, VIEW_TOKEN: `view-${TOKEN}` }
  const limits = { MAX_SESSIONS_PER_MINUTE: '0', MAX_STREAMS: '4', STREAM_LINGER_SECONDS: '1' }
  server = await startServer({ env: { PIPELINE: 'effects', ...tokens, ...limits } })
}, 500_000)
afterAll(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

it('finds no deviation of the server from /openapi.json', async () => {
  const headers = { authorization: `Bearer ${TOKEN}` }
  expect((await http('POST', `${server.url}/test-pattern/demo`, { headers })).status).toBe(201)
  const args = [
    ...['--config-file', join(FIXTURES, 'schemathesis.toml'), 'run', `${server.url}/openapi.json`],
    ...['--checks', 'all', '--phases', 'examples,coverage,fuzzing,stateful', '--seed', '1', '--max-examples', '10'],
    ...['--max-time', '85', '--request-timeout', '20', '--continue-on-failure', '--no-shrink'],
    ...['--header', `Authorization: Bearer ${TOKEN}`, '--warnings', 'off', '--no-color'],
    ...Object.keys(LEFT_OUT).flatMap((id) => ['--exclude-operation-id', id]),
  ]
  const env = { ...process.env, SCHEMATHESIS_HOOKS: join(FIXTURES, 'hooks.py'), COLUMNS: '150', NO_COLOR: '1' }
  const options = { cwd: folder, env, timeout: 180_000, maxBuffer: 64 * 1024 * 1024 }
  const { stdout, failed } = await run(schemathesis, args, options).catch((error) => ({
    ...error,
    failed: true,
  }))
  expect(failed, stdout.slice(-60_000)).toBeUndefined()
  const tested = Number(/Tested: (\d+)/.exec(stdout)?.[1])
  expect(tested, stdout).toBeGreaterThan(35)
  expect(Number(/(\d+) generated/.exec(stdout)?.[1])).toBeGreaterThan(300)
}, 210_000)
