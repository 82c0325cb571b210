import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { http, httpJson } from '../helpers/http.ts'
import { addingPipeline, outsideFolder, writePackage } from '../helpers/outside-package.ts'
import { type Stage, setStage } from '../helpers/stage.ts'

const SLOW_MS = 30_000

let folder: ReturnType<typeof outsideFolder>
let stage: Stage
let startMs: number

beforeAll(async () => {
  folder = outsideFolder()
  const write = (name: string, index: string) =>
    writePackage(join(folder.path, name), {
      name,
      pipelines: { [name]: './index.js#Adds' },
      files: { 'index.js': index },
    })
  write('good', addingPipeline('Adds', 1))
  write('slow', addingPipeline('Adds', 1, `await new Promise((resolve) => setTimeout(resolve, ${SLOW_MS}))`))
  write('busy', addingPipeline('Adds', 1, `const end = Date.now() + ${SLOW_MS}; while (Date.now() < end);`))
  write('throws', addingPipeline('Adds', 1, "throw new Error('no GPU here')"))
  write('exits', addingPipeline('Adds', 1, 'process.exit(7)'))
  const began = performance.now()
  stage = await setStage({ env: { PIPELINE_DIR: folder.path, MAX_STREAMS: '6' } })
  startMs = performance.now() - began
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  folder?.[Symbol.dispose]()
})

const ingest = (stream: string, pipeline: string, limitMs = 60_000) =>
  http('POST', `${stage.url}/ingest/${stream}?pipeline=${pipeline}`, { body: Buffer.alloc(188), limitMs })

describe('a package whose import takes 30 s, throws or exits', () => {
  test('does not slow the start, and is listed as it says of itself', async () => {
    expect(startMs).toBeLessThan(15_000)
    const { json } = await httpJson<{ name: string }[]>('GET', `${stage.url}/pipelines`)
    const names = json.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['good', 'slow', 'busy', 'throws', 'exits', 'noop', 'effects']))
  })

  test('is told to who asks for it', async () => {
    const threw = await ingest('a', 'throws')
    expect(threw.status).toBeGreaterThanOrEqual(500)
    expect(threw.text).toContain('no GPU here')
    const exited = await ingest('b', 'exits')
    expect(exited.status).toBeGreaterThanOrEqual(500)
    expect(exited.text).toContain('exited with code 7')
    expect((await httpJson('GET', `${stage.url}/pipelines/throws`)).status).toBeGreaterThanOrEqual(500)
  })

  test('does not hold up other pipelines', async () => {
    const waiting = [ingest('c', 'slow', 8000), ingest('d', 'busy', 8000)].map((one) => one.catch(() => {}))
    const clip = await stage.clip({ seconds: 20, width: 320, height: 180, fps: 30 })
    const began = performance.now()
    await stage.publish('e', clip, { query: '?pipeline=good' })
    await stage.waitForStatus('e', 'the pipeline', ({ inference }) => inference.fps > 20)
    expect(performance.now() - began).toBeLessThan(15_000)
    await Promise.all(waiting)
  })
})
