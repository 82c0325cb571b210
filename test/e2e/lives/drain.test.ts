import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Recording, record } from '../../helpers/media/record.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

type Ready = { ready: boolean; draining: boolean; streams: { running: number } }

/** A server with a stream, an event subscriber and a viewer. */
async function busyServer(drainSeconds: number) {
  const env = { DRAIN_SECONDS: String(drainSeconds), MAX_STREAMS: '4', WARM_PIPELINES: '0' }
  const server = await startServer({ env })
  expect((await http('POST', `${server.url}/test-pattern/demo`)).status).toBe(201)
  const events = await record(`${server.url}/streams/demo/events`)
  const frames = await waitFor('a frame', () => record(`${server.url}/out/demo.ts`))
  await waitFor('bytes', () => frames.bytes().length > 100_000)
  return { server, events, frames, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

const ready = async (server: TestServer) => await httpJson<Ready>('GET', `${server.url}/ready`)
const terminate = (server: TestServer) => process.kill(server.pid, 'SIGTERM')
const lastEvent = (events: Recording) =>
  [
    ...events
      .bytes()
      .toString()
      .matchAll(/^event: (\w+)$/gm),
  ].at(-1)?.[1]

describe('SIGTERM', () => {
  it('refuses new streams, and exits when the running ones have ended', async () => {
    await using busy = await busyServer(60)
    const { server, events, frames } = busy
    expect(await ready(server)).toMatchObject({ status: 200, json: { ready: true, draining: false } })
    terminate(server)
    await waitFor('draining', async () => (await ready(server)).json.draining)

    const refusal = await ready(server)
    expect(refusal).toMatchObject({ status: 503, json: { ready: false, streams: { running: 1 } } })
    expect(Number(refusal.headers['retry-after'])).toBeGreaterThan(0)
    const refused = await http('POST', `${server.url}/test-pattern/other`)
    expect(refused.status).toBe(503)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(JSON.parse(refused.text).detail).toContain('shutting down')
    expect((await http('POST', `${server.url}/ingest/other`)).status).toBe(503)

    const before = frames.bytes().length
    await sleep(1000)
    expect(frames.bytes().length).toBeGreaterThan(before)
    await using late = await record(`${server.url}/out/demo.ts`)
    await waitFor('a viewer who comes late', () => late.bytes().length > 0)
    expect(server.exit).toBeUndefined()

    expect((await http('DELETE', `${server.url}/streams/demo`)).status).toBe(200)
    await server.closed
    expect(server.exit).toMatchObject({ code: 0 })
    expect(lastEvent(events)).toBe('ended')
  })

  it('ends running streams cleanly when the drain time is over', async () => {
    await using busy = await busyServer(1)
    const { server, events, frames } = busy
    terminate(server)
    await server.closed
    expect(server.exit).toMatchObject({ code: 0 })
    expect(lastEvent(events)).toBe('ended')
    expect(await events.ended).toBe(true)
    expect(await frames.ended).toBe(true)
    expect(server.logs.lines.some(({ msg }) => msg === 'draining: no new streams')).toBe(true)
  })

  it('sent twice, exits at once', async () => {
    await using busy = await busyServer(60)
    const { server, events } = busy
    terminate(server)
    await waitFor('draining', async () => (await ready(server)).json.draining)
    const started = performance.now()
    terminate(server)
    await server.closed
    expect(performance.now() - started).toBeLessThan(10_000)
    expect(server.exit).toMatchObject({ code: 0 })
    expect(lastEvent(events)).toBe('ended')
  })
})
