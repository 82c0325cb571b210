import { Agent, type IncomingMessage, request } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LARGE_CLIP } from '../helpers/media/clip.ts'
import { HeldReports } from '../helpers/server/held.ts'
import { http } from '../helpers/server/http.ts'
import { type Stage, setStage } from '../helpers/server/stage.ts'
import { waitFor } from '../helpers/wait.ts'

/** Read requests open to anyone, repeated many times while a stream is running. */
const reports = new HeldReports()
let stage: Stage
beforeAll(async () => {
  stage = await setStage({ env: reports.env })
  await stage.publish('demo', await stage.clip(LARGE_CLIP))
  await stage.waitForStatus('demo', 'a full rate', ({ egress }) => egress.fps > 25)
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  reports[Symbol.dispose]()
})

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

it.each(['/streams/demo/events', '/out/demo.ts'])('HEAD %s leaves no reader behind', async (path) => {
  const { pid } = stage.server
  const before = await reports.of(pid)
  expect(await head(path, 500)).toEqual(new Set([200]))
  // Connections close a moment after their responses; a reader left behind would keep a timer for good.
  await waitFor('what it held before', async () => {
    const { timers, descriptors } = await reports.of(pid)
    return timers < before.timers + 50 && descriptors < before.descriptors + 50
  })
  expect((await stage.status('demo')).egress.viewers).toBe(0)
})

it('a hundred concurrent requests for a still share one encode, and the output keeps flowing', async () => {
  const ask = () => http('GET', `${stage.url}/out/demo.jpg`)
  const answers = await Promise.all(Array.from({ length: 100 }, ask))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(new Set(answers.map(({ headers }) => headers.etag)).size).toBeLessThan(20)
  const { headers } = await ask()
  expect(headers['cache-control']).toBe('max-age=1')
  await stage.waitForStatus('demo', 'a full rate', ({ egress }) => egress.fps > 25)
})

it('at most 32 dispatchers listen at once, and one that leaves makes room', async () => {
  const listen = () =>
    new Promise<IncomingMessage>((resolve, reject) => {
      request(`${stage.url}/placements`, { agent: false }, resolve).once('error', reject).end()
    })
  const listeners = await Promise.all(Array.from({ length: 40 }, listen))
  try {
    const statuses = listeners.map(({ statusCode }) => statusCode)
    expect(statuses.filter((status) => status === 200)).toHaveLength(32)
    expect(statuses.filter((status) => status === 503)).toHaveLength(8)
  } finally {
    for (const listener of listeners) listener.on('error', () => {}).destroy()
  }
  await waitFor('room', async () => {
    const one = await listen()
    one.on('error', () => {}).destroy()
    return one.statusCode === 200
  })
})
