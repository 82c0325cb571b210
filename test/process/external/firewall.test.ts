import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { packMillrace } from '../../helpers/package/outside-app.ts'
import { outsideFolder } from '../../helpers/package/outside-package.ts'
import { NEGATIVE, writeModel } from '../../helpers/package/test-models.ts'
import { http } from '../../helpers/server/http.ts'
import { setStage } from '../../helpers/server/stage.ts'

const run = promisify(execFile)
const RUNTIME = 'onnxruntime-node'
const about = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  optionalDependencies: Record<string, string>
}
/**
 * The machine appears to have CUDA, for which the install script downloads libraries, and their host is unreachable.
 */
const FIREWALL = { ONNXRUNTIME_NODE_INSTALL: 'cuda12', GLOBAL_AGENT_HTTPS_PROXY: 'http://127.0.0.1:9' }
const LOAD = `import { openModel } from 'millrace/onnx'
const log = { info() {} }
const model = await openModel({ file: 'negative.onnx' }, { log })
console.log('loaded', model.outputs[0].name)
await model.close()
`

const install = (args: string[], env: Record<string, string>) =>
  run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...args], {
    cwd: app.path,
    env: { ...process.env, ...env },
    timeout: 300_000,
  })

let app: ReturnType<typeof outsideFolder>
beforeAll(async () => {
  app = outsideFolder()
  writeFileSync(join(app.path, 'package.json'), JSON.stringify({ name: 'behind', version: '1.0.0', type: 'module' }))
  writeFileSync(join(app.path, 'load.js'), LOAD)
  writeModel(join(app.path, 'negative.onnx'), NEGATIVE)
  await install([await packMillrace()], FIREWALL)
}, 600_000)
afterAll(() => app?.[Symbol.dispose]())

const cli = () => join(app.path, 'node_modules', 'millrace', 'dist', 'src', 'cli.js')
const load = () => run(process.execPath, ['load.js'], { cwd: app.path, timeout: 60_000 })

test('npm install works where the install script of ONNX Runtime cannot reach its host, and the server runs', async () => {
  expect(existsSync(join(app.path, 'node_modules', RUNTIME))).toBe(false)
  await using stage = await setStage({ cli: cli(), cwd: app.path })
  expect((await http('POST', `${stage.url}/test-pattern/demo?pipeline=effects`)).status).toBe(201)
  await stage.waitForStatus('demo', 'the pipeline', ({ inference }) => inference.fps > 0, 60_000)
})

test('a pipeline that needs ONNX Runtime fails with the command that installs it, which works there too', async () => {
  const mend = /ONNXRUNTIME_NODE_INSTALL=(skip) npm install (onnxruntime-node@[\d.]+)/
  await expect(load()).rejects.toThrow(mend)
  // The exit code depends on what else this machine lacks.
  const { stdout } = await run(process.execPath, [cli(), 'doctor'], { cwd: app.path }).catch((error) => error)
  expect(stdout).toMatch(/! ONNX Runtime .*not installed/)
  const [, skip, spec] = mend.exec(stdout) ?? []
  expect(spec).toBe(`${RUNTIME}@${about.optionalDependencies[RUNTIME]}`)
  await install([spec!], { ...FIREWALL, ONNXRUNTIME_NODE_INSTALL: skip! })
  expect((await load()).stdout).toContain('loaded out')
}, 300_000)
