import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { http } from '../helpers/server/http.ts'
import { type Stage, setStage } from '../helpers/server/stage.ts'
import { waitFor } from '../helpers/wait.ts'

let stage: Stage
let clip: string
beforeAll(async () => {
  stage = await setStage({ env: { MAX_STREAMS: '8', STREAM_LINGER_SECONDS: '1', WARM_PIPELINES: '1', UDP_PORT: '0' } })
  clip = await stage.clip({ seconds: 30, width: 160, height: 120, fps: 10, audio: false })
  await stage.publish('demo', clip, { loop: -1 })
}, 120_000)
afterAll(() => stage?.[Symbol.asyncDispose]())

const limit = (files: number) => execFileSync('prlimit', ['--pid', String(stage.server.pid), `--nofile=${files}:4096`])
const open = () => readdirSync(`/proc/${stage.server.pid}/fd`).length

it('without free file descriptors every request is answered, nothing throws, and everything works again afterwards', async () => {
  const { pid } = stage.server
  for (const spare of [1, 3, 5, 8]) {
    // The lowest free number is assigned, so `spare` descriptors are left above those in use.
    limit(open() + spare)
    const asked = [
      () => http('POST', `${stage.url}/test-pattern/pattern-${spare}?pipeline=effects`),
      () => http('POST', `${stage.url}/ingest/media-${spare}?pipeline=effects`, { body: 'x'.repeat(2000) }),
      () => http('GET', `${stage.url}/out/demo.jpg`),
      () => http('GET', `${stage.url}/pipelines/effects`),
      () => http('GET', `${stage.url}/health`),
    ]
    for (const ask of asked) expect((await ask()).status).toBeGreaterThanOrEqual(200)
  }
  limit(4096)
  expect(stage.server.exit).toBeUndefined()
  expect(stage.server.pid).toBe(pid)
  const escaped = stage.server.logs.lines.filter(({ msg }) => /uncaught|unhandled/i.test(String(msg)))
  expect(escaped).toEqual([])
  await waitFor('a new stream', async () => (await http('POST', `${stage.url}/test-pattern/after`)).status === 201, {
    limitMs: 60_000,
    everyMs: 1000,
  })
}, 300_000)
