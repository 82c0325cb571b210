import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { http } from '../helpers/http.ts'
import { type Stage, setStage } from '../helpers/stage.ts'

/** What anyone may ask for, many times over, while a stream is on air. */
let stage: Stage
beforeAll(async () => {
  stage = await setStage()
  await stage.publish('demo', await stage.clip({ seconds: 120, width: 640, height: 360, fps: 30 }))
  await stage.waitForStatus('demo', 'a full rate', ({ egress }) => egress.fps > 25)
})
afterAll(() => stage?.[Symbol.asyncDispose]())

const memoryOf = (pid: number) =>
  Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

async function head(path: string, count: number): Promise<Set<number | undefined>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 20 })
  const one = () =>
    new Promise<number | undefined>((resolve, reject) => {
      const asked = request(`${stage.url}${path}`, { method: 'HEAD', agent }, (answer) => {
        answer.resume().once('end', () => resolve(answer.statusCode))
      })
      asked.once('error', reject).end()
    })
  const all = await Promise.all(Array.from({ length: count }, one))
  agent.destroy()
  return new Set(all)
}

it.each(['/streams/demo/events', '/out/demo.ts'])('HEAD %s opens nothing', async (path) => {
  expect(await head(path, 500)).toEqual(new Set([200]))
  const before = memoryOf(stage.server.pid)
  expect(await head(path, 5000)).toEqual(new Set([200]))
  // Each of those that was kept took 25 kB.
  expect(memoryOf(stage.server.pid) - before).toBeLessThan(60)
  expect((await stage.status('demo')).egress.viewers).toBe(0)
})

it('a hundred who ask for a still at once share an encode, and the output goes on', async () => {
  const ask = () => http('GET', `${stage.url}/out/demo.jpg`)
  const answers = await Promise.all(Array.from({ length: 100 }, ask))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(new Set(answers.map(({ headers }) => headers.etag)).size).toBeLessThan(20)
  const { headers } = await ask()
  expect(headers['cache-control']).toBe('max-age=1')
  await stage.waitForStatus('demo', 'a full rate', ({ egress }) => egress.fps > 25)
})
