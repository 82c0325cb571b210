import { cpSync, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LARGE_CLIP } from '../../helpers/media/clip.ts'
import { installPythonFixtures, millrace, type PythonFolder } from '../../helpers/package/python.ts'
import { httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

let python: PythonFolder
let stage: Stage
beforeAll(async () => {
  python = await installPythonFixtures('my-pipeline')
  stage = await setStage({
    env: { PIPELINE: 'my-pipeline', MODEL_ID: 'my-pipeline', PIPELINE_DIR: python.directory, AUTH_TOKEN: '' },
  })
  await stage.publish('demo', await stage.clip(LARGE_CLIP))
}, 400_000)
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  python?.[Symbol.dispose]()
})

it('processes a stream with the package of the guide', async () => {
  const status = await stage.waitForStatus('demo', 'a pipeline', ({ inference }) => inference.fps > 20, 60_000)
  expect(status).toMatchObject({ state: 'ONLINE', pipeline: 'my-pipeline', egress: { width: 512, height: 512 } })
  expect(status.inference.restarts).toBe(0)
})

it('takes its params over HTTP, and refuses an invalid one with its path and bound', async () => {
  const change = (body: unknown) =>
    httpJson<{ params: object; code: string; errors: object[] }>('POST', `${stage.url}/params`, { body })
  expect(await change({ strength: 0.3 })).toMatchObject({ status: 200, json: { params: { strength: 0.3 } } })
  const refused = await change({ strength: 1.5 })
  expect(refused).toMatchObject({ status: 422, json: { code: 'invalid-params' } })
  expect(JSON.stringify(refused.json.errors)).toMatch(/strength.*less than or equal to 1/)
  const { json } = await httpJson<{ params: object }>('GET', `${stage.url}/streams/demo/params`)
  expect(json.params).toMatchObject({ strength: 0.3 })
})

it('is described like any other pipeline', async () => {
  const { json: list } = await httpJson<object[]>('GET', `${stage.url}/pipelines`)
  expect(list).toContainEqual(expect.objectContaining({ name: 'my-pipeline', language: 'python', version: '0.1.0' }))
  expect(list).toContainEqual(expect.objectContaining({ name: 'noop', language: 'typescript' }))
  const { json } = await httpJson<object>('GET', `${stage.url}/pipelines/my-pipeline`)
  expect(json).toMatchObject({ params: { properties: { strength: { minimum: 0, maximum: 1, default: 0.8 } } } })
})

it('is added by install and removed by uninstall, and a refused spec leaves nothing behind', async () => {
  expect(millrace(python.directory, 'pipelines')).toContain('my-pipeline')
  for (const spec of ['pip:numpy', 'pip:--help', 'pip:./nowhere', 'pip:git+https://example.org/a.git@main'])
    expect(() => millrace(python.directory, 'install', spec)).toThrow('accepted: pip:')
  const folders = () => readdirSync(python.directory).filter((name) => existsSync(join(python.directory, name, 'bin')))
  expect(folders()).toHaveLength(1)
  await stage.server.stop()
  // The same package installed from another path replaces the first.
  const moved = join(python.directory, 'moved')
  cpSync(join(python.directory, 'sources', 'my-pipeline'), moved, { recursive: true })
  millrace(python.directory, 'install', `pip:${moved}`)
  expect(folders()).toHaveLength(1)
  expect(millrace(python.directory, 'uninstall', 'my-pipeline')).toBe('my-pipeline\n')
  expect(folders()).toEqual([])
  expect(millrace(python.directory, 'pipelines')).not.toContain('my-pipeline')
  expect(() => millrace(python.directory, 'uninstall', 'my-pipeline')).toThrow(/no pipeline my-pipeline/)
}, 400_000)
