import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await setStage({ env: { STREAM_LINGER_SECONDS: '10' } })
})
afterAll(() => stage?.[Symbol.asyncDispose]())

it('a publisher that returns by another protocol finds stream, params and viewers unchanged', async () => {
  const clip = await stage.clip({ seconds: 20, width: 320, height: 240, fps: 30 })
  const publisher = await stage.publish('demo', clip, { query: '?pipeline=effects' })
  const changed = await httpJson<{ revision: number; hash: string }>('PATCH', `${stage.url}/streams/demo/params`, {
    body: { effect: 'grayscale', strength: 0.5 },
  })
  await using viewer = await record(`${stage.url}/out/demo.ts`)
  await sleep(2000)
  await publisher.kill()
  await stage.waitForStatus('demo', 'its publisher gone', ({ publishing }) => !publishing)
  await sleep(2500)

  const bytes = await readFile(clip)
  const posting = postTrickle('demo', bytes.subarray(0, Math.floor(bytes.length / 4 / 188) * 188))
  await stage.waitForStatus('demo', 'a trickle publisher', ({ ingest }) => ingest?.kind === 'trickle')
  await sleep(3000)
  const { params, pipeline, egress } = await stage.status('demo')
  expect(pipeline).toBe('effects')
  expect(params).toMatchObject({ revision: changed.json.revision, hash: changed.json.hash })
  expect(egress.viewers).toBe(1)
  await posting
  viewer.stop()

  const frames = await decodeNumbers(viewer.bytes())
  const times = frames.map(({ pts }) => pts / 90)
  const gaps = times.slice(1).map((time, index) => time - times[index]!)
  // The output never paused and never went back, whoever published.
  expect(Math.min(...gaps)).toBeGreaterThan(0)
  expect(Math.max(...gaps)).toBeLessThan(1000)
  const length = times.at(-1)! - times[0]!
  expect(length).toBeGreaterThan(6500)
  // The numbers of the second publisher start at 0 again, and were output.
  const numbers = frames.flatMap(({ number }) => number ?? [])
  const back = numbers.findIndex((number, index) => index > 0 && number < numbers[index - 1]!)
  expect(back).toBeGreaterThan(0)
  expect(new Set(numbers.slice(back)).size).toBeGreaterThan(30)
})

/** Publishes MPEG-TS as trickle segments of about a second, in real time. */
async function postTrickle(stream: string, bytes: Buffer): Promise<void> {
  const segments = 5
  for (let seq = 0; seq < segments; seq++) {
    const part = bytes.subarray((bytes.length * seq) / segments, (bytes.length * (seq + 1)) / segments)
    const { status } = await http('POST', `${stage.url}/trickle/${stream}/${seq}`, {
      body: part,
      headers: { 'content-type': 'video/MP2T' },
    })
    expect(status).toBe(200)
    await sleep(1000)
  }
}
