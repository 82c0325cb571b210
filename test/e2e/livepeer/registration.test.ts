import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HttpAnswer, http } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'
import { health, makeSegments, StandInOrchestrator } from './orchestrator.ts'
import { StandInRegistry } from './registry.ts'

let orchestrator: StandInOrchestrator
let registry: StandInRegistry
let server: TestServer
let segments: Buffer[]
beforeAll(async () => {
  orchestrator = await StandInOrchestrator.open()
  registry = new StandInRegistry(orchestrator)
  segments = await makeSegments(12)
  server = await startServer({
    env: {
      PIPELINE: 'effects',
      MAX_STREAMS: '2',
      LIVEPEER_ORCHESTRATOR: `${orchestrator.origin}/`,
      LIVEPEER_ORCH_SECRET: registry.secret,
      LIVEPEER_RUNNER_URL: 'http://10.1.2.3:8000',
      LIVEPEER_PRICE: '0.25/hour',
    },
  })
})
afterAll(async () => {
  await server?.stop()
  await orchestrator?.[Symbol.asyncDispose]()
})

const start = (headers: Record<string, string>): Promise<HttpAnswer> =>
  http('POST', `${server.url}/live-video-to-video`, { headers, body: { params: { effect: 'invert' } } })

/** Publishes as the client would, through the address of the orchestrator. */
async function publish(session: string, count: number): Promise<void> {
  for (const [seq, bytes] of segments.slice(0, count).entries()) {
    await http('POST', `${orchestrator.url(`${session}-in`)}/${seq}`, { body: bytes })
  }
}

describe('a server that is registered with an orchestrator', () => {
  it('sends heartbeats, first with the configured secret, then with the issued one', async () => {
    await waitFor('three heartbeats', () => registry.heartbeats.length >= 3)
    const [first, second] = registry.heartbeats
    expect(first?.authorization).toBe('orch-secret')
    expect(first?.body).toEqual({
      runner_url: 'http://10.1.2.3:8000',
      app: 'effects',
      version: '0.1.0',
      mode: 'persistent',
      status: 'ready',
      capacity: 2,
      price_info: { price: 0.25, currency: 'usd', unit: 'hour' },
      session_ids: [],
    })
    expect(second?.authorization).toBe('issued-1')
    expect(second?.body.runner_id).toBe('runner_1')
  })

  it('creates the channels of a session, and reports them to the client', async () => {
    const answer = await start(registry.reserve('session-a'))
    expect(answer.status, answer.text).toBe(200)
    expect(JSON.parse(answer.text)).toEqual({
      publish_url: 'https://orchestrator.invalid/session-a-in',
      subscribe_url: 'https://orchestrator.invalid/session-a-out',
      control_url: 'https://orchestrator.invalid/session-a-control',
      events_url: 'https://orchestrator.invalid/session-a-events',
      request_id: '',
      manifest_id: 'session-a',
    })
    await publish('session-a', 3)
    await waitFor('output', () => (orchestrator.trickle.get('session-a-out')?.head ?? 0) > 0)
    const beat = await waitFor('a heartbeat with the session', () =>
      registry.heartbeats.findLast(({ body }) => String(body.session_ids) === 'session-a'),
    )
    expect(beat.body.capacity).toBe(2)

    // The input ends, and the session with it.
    orchestrator.trickle.get('session-a-in')?.close()
    await waitFor('the release', () => registry.callbacks.includes('POST stop session-a'))
    expect(registry.sessions.size).toBe(0)
  })

  it('ends a stream whose session is released, with or without a call', async () => {
    for (const told of [true, false]) {
      const id = `session-${told}`
      expect((await start(registry.reserve(id))).status).toBe(200)
      // Waits for a heartbeat: one sent before the session started may not include it.
      const count = registry.heartbeats.length
      await waitFor('a heartbeat', () => registry.heartbeats.length > count + 1)
      registry.sessions.delete(id)
      if (told) registry.release(id)
      await waitFor('the stream to end', async () => (await http('GET', `${server.url}/streams`)).text === '[]')
      expect(registry.callbacks).not.toContain(`POST stop ${id}`)
      registry.release(id)
    }
    expect(await health(server.url)).toBe('IDLE')
  })

  it('deletes the channels when the start fails', async () => {
    const headers = registry.reserve('session-c')
    const answer = await http('POST', `${server.url}/live-video-to-video`, {
      headers,
      body: { params: { strength: 7 } },
    })
    expect(answer.status).toBe(400)
    expect(registry.callbacks.slice(-2)).toEqual(['POST channels session-c', 'DELETE channels session-c'])
    registry.release('session-c')
  })

  it('requires URLs from clients without a session', async () => {
    expect((await start({})).status).toBe(422)
  })

  it('registers again when the orchestrator has forgotten it', async () => {
    registry.forget()
    const count = registry.heartbeats.length
    await waitFor('heartbeats', () => registry.heartbeats.length >= count + 3)
    const [refused, anew, next] = registry.heartbeats.slice(count)
    expect(refused?.authorization).toBe('issued-1')
    expect(anew).toMatchObject({ authorization: 'orch-secret', body: { runner_id: 'runner_1' } })
    expect(next?.authorization).toBe('issued-2')
  })

  it('unregisters when it exits', async () => {
    await server.stop()
    expect(registry.callbacks.at(-1)).toBe('unregister')
    expect(server.logs.complaints.filter(({ msg }) => msg !== 'livepeer request refused')).toEqual([])
  })
})
