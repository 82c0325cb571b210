import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LONG_CLIP } from '../../helpers/media/clip.ts'
import { addingPipeline, outsideFolder, writePackage } from '../../helpers/package/outside-package.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

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
  test('does not delay the start, and is listed', async () => {
    expect(startMs).toBeLessThan(15_000)
    const { json } = await httpJson<{ name: string }[]>('GET', `${stage.url}/pipelines`)
    const names = json.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['good', 'slow', 'busy', 'throws', 'exits', 'noop', 'effects']))
  })

  test('fails the requests that name it, with the reason', async () => {
    const threw = await ingest('a', 'throws')
    expect(threw.status).toBeGreaterThanOrEqual(500)
    expect(threw.text).toContain('no GPU here')
    const exited = await ingest('b', 'exits')
    expect(exited.status).toBeGreaterThanOrEqual(500)
    expect(exited.text).toContain('exited with code 7')
    expect((await httpJson('GET', `${stage.url}/pipelines/throws`)).status).toBeGreaterThanOrEqual(500)
  })

  test('does not delay other pipelines', async () => {
    const waiting = [ingest('c', 'slow', 8000), ingest('d', 'busy', 8000)].map((one) => one.catch(() => {}))
    const clip = await stage.clip(LONG_CLIP)
    const began = performance.now()
    await stage.publish('e', clip, { query: '?pipeline=good' })
    await stage.waitForStatus('e', 'the pipeline', ({ inference }) => inference.fps > 20)
    expect(performance.now() - began).toBeLessThan(15_000)
    await Promise.all(waiting)
  })
})
