import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { http, httpJson } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { isOnAir } from '../../helpers/server/states.ts'
import { waitFor } from '../../helpers/wait.ts'
import { health, makeSegments, StandInOrchestrator, type StartOptions } from './orchestrator.ts'

const INPUT_TIMEOUT_SECONDS = 3
const FIXTURES = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))

let orchestrator: StandInOrchestrator
let server: TestServer
let segments: Buffer[]
const env = () => ({
  PIPELINE: 'effects',
  MAX_STREAMS: '1',
  LIVEPEER_STATUS_SECONDS: '1',
  // Segments of one second.
  KEYFRAME_SECONDS: '1',
  INPUT_TIMEOUT_SECONDS: String(INPUT_TIMEOUT_SECONDS),
  ALLOWED_URLS: orchestrator.origin,
})
beforeAll(async () => {
  orchestrator = await StandInOrchestrator.open()
  segments = await makeSegments(12)
  server = await startServer({ env: env() })
})
afterEach(() => {
  orchestrator.intercept = undefined
})
afterAll(async () => {
  await server?.stop()
  await orchestrator?.[Symbol.asyncDispose]()
})

const start = (options?: StartOptions) => orchestrator.start(server.url, options)
const free = () => waitFor('the runner is free', async () => (await health(server.url)) === 'IDLE')

describe('a session without', () => {
  it('control and events channels runs until its input ends', async () => {
    const stream = await start({ body: { control_url: '', events_url: '' } })
    expect(stream.answer?.status).toBe(200)
    const feeding = stream.publish(segments)
    await waitFor('two segments', () => stream.output.length >= 2)
    expect(await health(server.url)).toBe('OK')
    expect(stream.events).toEqual([])
    await waitFor('a healthy state', async () => {
      const { json } = await httpJson<{ state: string }>('GET', `${server.url}/api/status`)
      return isOnAir(json.state)
    })
    stream.end()
    await feeding
    await free()
  })
})

describe('a session ends when', () => {
  it('its input never starts', async () => {
    const stream = await start()
    await waitFor('the channels are deleted', () => !stream.has('-out') && !stream.has('-events'))
    await free()
    expect(stream.ofType('error').map(({ event }) => event.message)).toEqual([expect.stringContaining('3')])
    stream.end()
  })

  it('its input stalls', async () => {
    const stream = await start()
    await stream.publish(segments.slice(0, 2))
    await waitFor('the channels are deleted', () => !stream.has('-out') && !stream.has('-events'))
    await free()
    expect(stream.ofType('error').at(-1)?.event.message).toBe(`no input arrived for ${INPUT_TIMEOUT_SECONDS} s`)
    stream.end()
  })

  it('its control channel is deleted', async () => {
    const stream = await start()
    void stream.publish(segments)
    await waitFor('output', () => stream.output.length > 0)
    orchestrator.trickle.get(`${stream.id}-control`)?.close()
    await waitFor('the channels are deleted', () => !stream.has('-out') && !stream.has('-events'))
    await free()
    stream.end()
  })

  it('its output is refused', async () => {
    orchestrator.intercept = ({ method, url }, response) => {
      if (method !== 'POST' || !url?.includes('-out/')) return false
      response.writeHead(500, { connection: 'close' }).end('no room')
      return true
    }
    const stream = await start()
    void stream.publish(segments)
    const error = await waitFor('an error', () => stream.ofType('error')[0])
    expect(error.event.message).toMatch(/the output channel at http:\S+: status 500: no room/)
    // Watchers read it too, and anyone who knows the path may write to the channel.
    expect(error.event.message).not.toContain('-out')
    await free()
    stream.end()
  })

  it('its output channel does not exist', async () => {
    const stream = await start({ body: { publish_url: orchestrator.url('nowhere') } })
    const feeding = stream.publish(segments.slice(0, 4))
    const error = await waitFor('an error', () => stream.ofType('error')[0])
    expect(error.event.message).toMatch(/the output channel at http:\S+: there is no such channel/)
    expect(error.event.message).not.toContain('nowhere')
    await free()
    stream.end()
    await feeding
  })

  it('its gateway receives no events for too long', async () => {
    orchestrator.intercept = ({ method, url }) => {
      // Accepts events and never responds.
      return method === 'POST' && Boolean(url?.includes('-events/'))
    }
    const stream = await start({ silenceMs: 2500 })
    void stream.publish(segments)
    await waitFor('the gateway gives it up', () => stream.aborted)
    await free()
  })
})

describe('an output reader that consumes nothing', () => {
  it('costs segments, but neither the session nor its events', async () => {
    orchestrator.intercept = ({ method, url }) => method === 'POST' && Boolean(url?.includes('-out/'))
    // Status events are never delayed for long either.
    const stream = await start({ silenceMs: 2500 })
    await stream.publish(segments.slice(0, 4))
    expect(await health(server.url)).toBe('OK')
    expect(stream.ofType('status').length).toBeGreaterThanOrEqual(3)
    expect(stream.aborted).toBe(false)
    stream.end()
    await free()
  })
})

describe('a start', () => {
  it('with params the pipeline refuses is answered at once with an error per field, and leaves nothing behind', async () => {
    const asked = performance.now()
    const stream = await start({ params: { effect: 'sparkle', strength: 7 } })
    expect(performance.now() - asked).toBeLessThan(8000)
    expect(stream.answer?.status).toBe(400)
    const { detail } = JSON.parse(stream.answer?.text ?? '') as { detail: { msg: string } }
    expect(detail.msg).toMatch(/effect: .*strength: /)
    expect(await health(server.url)).toBe('IDLE')
    expect(orchestrator.requests.filter((line) => /^(POST|DELETE) /.test(line) && line.includes(stream.id))).toEqual([])
  })

  it('through the internal API reports the same as text', async () => {
    const refused = await start({ path: '/api/live-video-to-video', params: { width: 63 } })
    expect(refused.answer?.status).toBe(400)
    expect(refused.answer?.text).toMatch(/^Error starting stream: .*width/)
    const stream = await start({ path: '/api/live-video-to-video/', params: { width: 320, height: 240 } })
    expect([stream.answer?.status, stream.answer?.text]).toEqual([200, 'Stream started successfully'])
    const feeding = stream.publish(segments.slice(0, 3))
    await waitFor('online', async () => isOnAir((await status()).state))

    const json = { 'content-type': 'application/json' }
    const post = (body: string, headers: Record<string, string> = json) =>
      http('POST', `${server.url}/api/params`, { body, headers })
    // Only one status has the params, and a status event may come first.
    const shown = (body: string, headers?: Record<string, string>) =>
      waitFor('a status with the params', async () => {
        const { status: code, text } = await post(body, headers)
        expect([code, text]).toEqual([200, 'Params updated successfully'])
        return (await status()).inference_status.last_params
      })
    expect(await shown('{"effect":"invert"}')).toMatchObject({ effect: 'invert', width: 320, height: 240 })
    const bad = await post('{"effect":"sparkle"}')
    expect([bad.status, bad.text]).toEqual([400, expect.stringMatching(/^Error updating params: .*effect/)])
    const text = await post('{"effect":"invert"}', { 'content-type': 'text/plain' })
    expect([text.status, text.text]).toEqual([400, expect.stringMatching(/content type/)])
    expect((await post('{')).status).toBe(400)
    const merged = await shown('{"strength":0.5}', { 'content-type': 'application/merge-patch+json' })
    expect(merged).toMatchObject({ effect: 'invert', strength: 0.5 })
    await feeding
    stream.end()
    await free()
    expect((await post('{"effect":"invert"}')).status).toBe(400)
  })

  it('whose input channel does not exist is refused', async () => {
    const stream = await start({ body: { subscribe_url: orchestrator.url('nowhere') } })
    expect(stream.answer?.status).toBe(400)
    expect(stream.answer?.text).toMatch(
      /the input could not be opened: the input channel at http:\S+: there is no such channel/,
    )
    expect(await health(server.url)).toBe('IDLE')
  })

  it('with an address of the private network is refused', async () => {
    const stream = await start({ body: { events_url: 'http://127.0.0.1:1/ai/trickle/x' } })
    expect(stream.answer?.status).toBe(400)
    expect(stream.answer?.text).toMatch(/events_url names 127\.0\.0\.1/)
    expect(await health(server.url)).toBe('IDLE')
  })

  async function status() {
    type Status = { state: string; inference_status: { last_params: Record<string, unknown> } }
    return (await httpJson<Status>('GET', `${server.url}/api/status`)).json
  }
})

describe('a server that', () => {
  it('is busy answers 503, and 401 without the token', async () => {
    await using strict = await startServer({ env: { ...env(), LIVEPEER_BUSY: 'refuse', AUTH_TOKEN: 'secret' } })
    const headers = { authorization: 'Bearer secret' }
    const anonymous = await orchestrator.start(strict.url)
    expect(anonymous.answer?.status).toBe(401)
    expect(anonymous.answer?.headers['www-authenticate']).toBe('Bearer')
    expect(JSON.parse(anonymous.answer?.text ?? '')).toEqual({ detail: { msg: 'Invalid bearer token.' } })
    expect((await http('POST', `${strict.url}/api/params`, { body: {} })).status).toBe(401)
    const first = await orchestrator.start(strict.url, { headers })
    expect(first.answer?.status).toBe(200)
    const second = await orchestrator.start(strict.url, { headers })
    expect(second.answer?.status).toBe(503)
    expect(second.answer?.headers['retry-after']).toBe('5')
    expect(JSON.parse(second.answer?.text ?? '')).toEqual({ detail: { msg: expect.stringContaining('MAX_STREAMS') } })
    expect(first.has('-out')).toBe(true)
    first.end()
  })

  it('gives up on a pipeline reports each restart and ends the stream', async () => {
    const more = { PIPELINE: 'crash-on-load', PIPELINE_DIR: FIXTURES, WARM_PIPELINES: '0', INPUT_TIMEOUT_SECONDS: '30' }
    await using failing = await startServer({ env: { ...env(), ...more } })
    const stream = await orchestrator.start(failing.url, { body: { model_id: 'crash-on-load' } })
    expect(stream.answer?.status).toBe(200)
    const feeding = stream.publish(segments)
    await waitFor('the channels are deleted', () => !stream.has('-out') && !stream.has('-events'))
    const restarts = stream.ofType('restart').map(({ event }) => event)
    expect(restarts.map(({ restart_count }) => restart_count)).toEqual([1, 2, 3])
    expect(String(restarts[0]?.restart_logs)).toContain('reading weights')
    expect(Number(restarts[0]?.restart_time)).toBeLessThan(Date.now() / 1000 + 1)
    expect(stream.ofType('error').at(-1)?.event.message).toBe('the pipeline was given up')
    expect(await health(failing.url)).toBe('IDLE')
    stream.end()
    await feeding
  })

  it('cannot write down its channels runs them all the same, and leaves nothing behind', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mr-notes-'))
    await using noting = await startServer({ env: { ...env(), TMPDIR: folder } })
    // A folder instead of the file, and then no folder at all.
    await mkdir(join(folder, `millrace-livepeer-${noting.pid}.json.part`))
    for (const gone of [false, true]) {
      if (gone) await rm(folder, { recursive: true })
      const stream = await orchestrator.start(noting.url)
      expect([stream.answer?.status, stream.answer?.text]).toEqual([200, expect.anything()])
      stream.end()
      await waitFor('its end', async () => (await http('GET', `${noting.url}/streams`)).text === '[]')
    }
    expect(noting.logs.named('could not save the list of channels in use; a crash would leave them open')).not.toEqual(
      [],
    )
  })

  it('was killed deletes the channels it left open at its next start', async () => {
    const doomed = await startServer({ env: env() })
    const stream = await orchestrator.start(doomed.url)
    expect(stream.answer?.status).toBe(200)
    process.kill(doomed.pid, 'SIGKILL')
    await doomed.closed
    expect(stream.has('-out')).toBe(true)
    await using _ = await startServer({ env: env() })
    await waitFor('the channels are deleted', () => !stream.has('-out') && !stream.has('-events'))
    expect(stream.has('')).toBe(true)
    stream.end()
  })
})
