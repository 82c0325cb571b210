import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeNumbers, probePackets } from '../../helpers/media/probe-ts.ts'
import { httpJson } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'
import { health, makeSegments, type OrchestratedStream, StandInOrchestrator } from './orchestrator.ts'

type Values = Record<string, unknown>
type Status = Values & { inference_status: Values; input_status: Values }

const STATUS_KEYS = [
  ...['type', 'pipeline', 'start_time', 'state', 'last_state_update_time', 'input_status', 'inference_status'],
  ...['last_status_timestamp', 'timestamp'],
]
const INFERENCE_KEYS = [
  ...['last_output_time', 'fps', 'last_params_update_time', 'last_params', 'last_params_hash', 'last_error_time'],
  ...['last_error', 'last_restart_time', 'last_restart_logs', 'restart_count'],
]
const STARTED = { subscribe_url: '', publish_url: '', control_url: '', events_url: '', request_id: '', manifest_id: '' }

let orchestrator: StandInOrchestrator
let server: TestServer
let segments: Buffer[]
beforeAll(async () => {
  orchestrator = await StandInOrchestrator.open()
  segments = await makeSegments(9)
  server = await startServer({
    env: {
      PIPELINE: 'live-video-to-video',
      MODEL_ID: 'effects',
      MAX_STREAMS: '1',
      LIVEPEER_STATUS_SECONDS: '1',
      ALLOWED_URLS: orchestrator.origin,
    },
  })
})
afterAll(async () => {
  await server?.stop()
  await orchestrator?.[Symbol.asyncDispose]()
})

const status = async () => (await httpJson<Status>('GET', `${server.url}/api/status`)).json
const statuses = (stream: OrchestratedStream) => stream.ofType('status').map(({ event }) => event as Status)

describe('a session of the Livepeer network', () => {
  it('runs from its start to the end of its input, and frees the runner', async () => {
    expect(await health(server.url)).toBe('IDLE')
    expect(await status()).toMatchObject({ type: 'status', pipeline: 'effects', state: 'OFFLINE', start_time: 0 })
    const asked = Date.now()
    const stream = await orchestrator.start(server.url, { params: { effect: 'grayscale' } })
    expect(stream.answer?.status).toBe(200)
    expect(stream.answer?.headers['content-type']).toMatch(/^application\/json/)
    expect(JSON.parse(stream.answer?.text ?? '')).toEqual(STARTED)
    expect(['OK', 'LOADING']).toContain(await health(server.url))
    const publishing = stream.publish(segments)

    // Traces, without duplicates.
    const ofTraces = () => stream.events.filter(({ queue_event_type }) => queue_event_type === 'stream_trace')
    await waitFor('three traces', () => ofTraces().length >= 3)
    const traces = ofTraces()
    expect(traces[0]?.event.type).toBe('runner_receive_stream_request')
    // Output starts before the first input segment, one second long, has ended.
    expect(traces.map(({ event }) => event.type).sort()).toEqual([
      'runner_receive_first_ingest_segment',
      'runner_receive_stream_request',
      'runner_send_first_processed_segment',
    ])
    expect(traces[0]?.event.timestamp).toBeGreaterThanOrEqual(asked)
    expect(traces[0]?.event.timestamp).toBeLessThanOrEqual(Date.now())

    // Status events have every key of the contract; values sent once are null afterwards, while their hash stays.
    await waitFor('it is online', async () => (await status()).state === 'ONLINE')
    expect(await health(server.url)).toBe('OK')
    await waitFor('three status events', () => stream.ofType('status').length >= 3)
    const [first, second] = statuses(stream)
    for (const one of [first, second]) {
      expect(Object.keys(one ?? {})).toEqual(expect.arrayContaining(STATUS_KEYS))
      expect(Object.keys(one?.inference_status ?? {})).toEqual(INFERENCE_KEYS)
      expect(Object.keys(one?.input_status ?? {})).toEqual(['last_input_time', 'fps'])
      expect(Number.isInteger(one?.timestamp)).toBe(true)
    }
    expect(first).toMatchObject({ pipeline: 'effects', last_status_timestamp: first?.start_time })
    expect(first?.inference_status.last_params).toMatchObject({ effect: 'grayscale', width: 512, height: 512 })
    expect(second?.inference_status.last_params).toBeNull()
    expect(second?.inference_status.last_params_hash).toBe(first?.inference_status.last_params_hash)

    // A control update in two chunks, without the size: the size is kept.
    await stream.control({ effect: 'invert', strength: 0.5, tint: '#ff7a00', show_reloading_frame: true }, 2)
    const updated = await waitFor('the new params', () =>
      statuses(stream).find(({ inference_status: { last_params } }) => (last_params as Values)?.effect === 'invert'),
    )
    const params = updated.inference_status.last_params as Values
    expect(params).toMatchObject({ width: 512, height: 512, strength: 0.5 })
    // As Python writes it: json.dumps(params, sort_keys=True).
    const text = `{"effect": "invert", "height": 512, "show_reloading_frame": true, "strength": 0.5, "tint": "#ff7a00", "width": 512}`
    expect(updated.inference_status.last_params_hash).toBe(createHash('md5').update(text).digest('hex'))
    const posted = await httpJson('GET', `${server.url}/api/status`)
    expect(posted.json).toMatchObject({ type: 'status', pipeline: 'effects' })

    // An invalid update is reported, and changes nothing.
    await stream.control({ effect: 'sparkle' })
    const failure = await waitFor('the error', () => stream.ofType('error')[0])
    expect(failure).toMatchObject({
      queue_event_type: 'ai_stream_events',
      event: { type: 'error', pipeline: 'effects' },
    })
    expect(String(failure.event.message)).toMatch(/effect/)
    const time = Number(failure.event.time)
    expect(Math.abs(time - Date.now() / 1000)).toBeLessThan(60)
    await stream.control('no json')
    await waitFor('the second error', () => stream.ofType('error').length >= 2)
    expect(stream.ofType('error').some(({ event }) => /keep/.test(String(event.message)))).toBe(false)

    const errors = stream.ofType('error').length
    await publishing
    stream.endInput()
    await waitFor('the runner is free', async () => (await health(server.url)) === 'IDLE')
    await waitFor('its channels are deleted', () => !stream.has('-out') && !stream.has('-events'))
    expect(stream.has('-control')).toBe(true)
    expect(stream.aborted).toBe(false)
    expect(stream.ofType('error').slice(errors)).toEqual([])
    expect(orchestrator.requests).toContain(`DELETE /${stream.id}-out`)
    expect(orchestrator.requests).toContain(`DELETE /${stream.id}-events`)
    expect(await status()).toMatchObject({ state: 'OFFLINE', start_time: 0 })
    stream.end()

    // The output: independently decodable segments in the size of the contract, of most of the input, with its audio.
    expect(stream.output.length).toBeGreaterThanOrEqual(4)
    for (const segment of stream.output) {
      const streams = await probePackets(segment)
      const video = streams.find(({ kind }) => kind === 'video')
      expect(video).toMatchObject({ codec: 'h264', width: 512, height: 512 })
      expect(video?.packets[0]?.key).toBe(true)
    }
    const packets = await Promise.all(stream.output.map((segment) => probePackets(segment)))
    const frames = packets.flat().filter(({ kind }) => kind === 'video')
    expect(frames.reduce((sum, { packets: { length } }) => sum + length, 0)).toBeGreaterThan(9 * 30 * 0.7)
    expect(packets.flat().some(({ kind }) => kind === 'audio')).toBe(true)
    expect((await decodeNumbers(stream.output[0] ?? new Uint8Array())).length).toBeGreaterThan(10)
  })

  it('makes way for the next one, which has other channels', async () => {
    const first = await orchestrator.start(server.url)
    const feeding = first.publish(segments)
    await waitFor('output of the first', () => first.output.length > 0)
    const second = await orchestrator.start(server.url)
    expect(second.answer?.status).toBe(200)
    await waitFor('the first is over', () => !first.has('-out') && !first.has('-events'))
    first.end()
    void second.publish(segments)
    await waitFor('output of the second', () => second.output.length > 0)
    expect(await health(server.url)).toBe('OK')
    second.end()
    await feeding
    await waitFor('the runner is free', async () => (await health(server.url)) === 'IDLE')
  })
})
