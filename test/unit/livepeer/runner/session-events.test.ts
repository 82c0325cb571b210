import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SessionEvents } from '../../../../src/livepeer/runner/session-events.ts'
import { offlineStatus, SessionReport } from '../../../../src/livepeer/runner/session-report.ts'
import { StreamEvents } from '../../../../src/stream/events.ts'
import type { LiveStream } from '../../../../src/stream/live-stream.ts'

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 })
})
afterEach(() => {
  vi.useRealTimers()
})

type Message = { event: Record<string, unknown>; queue_event_type: string }

/** The parts of a stream that session events read. */
function standIn() {
  const events = new StreamEvents()
  const stream = {
    name: 'livepeer-1',
    events,
    lastInputAt: 1_700_000_000_500,
    lastOutputAt: undefined,
    status: () => ({
      state: 'ONLINE',
      pipeline: 'effects',
      params: { revision: 1, hash: 'abc', value: { effect: 'none' } },
      ingest: { fps: 30, lost: 2 },
      inference: { fps: 29.9 },
      latencyMs: {},
      dropped: { beforePipeline: 1, afterPipeline: 2, failed: 3, viewers: 4 },
    }),
  } as unknown as LiveStream
  const report = new SessionReport(stream, Date.now())
  const sent: Message[] = []
  const session = new SessionEvents({ pipeline: 'effects', receivedAt: Date.now() - 100, statusEventMs: 10_000 })
  const stop = session.tell(
    stream,
    () => report,
    (message) => sent.push(message as Message),
  )
  return { events, report, sent, session, stop }
}

test('a status every ten seconds, the first after ten, each with the time of the previous one', () => {
  const { sent, stop } = standIn()
  const statuses = () => sent.filter(({ event }) => event.type === 'status')
  vi.advanceTimersByTime(9999)
  expect(statuses()).toEqual([])
  vi.advanceTimersByTime(1)
  vi.advanceTimersByTime(10_000)
  expect(
    statuses().map(({ queue_event_type, event }) => [queue_event_type, event.timestamp, event.last_status_timestamp]),
  ).toEqual([
    ['ai_stream_events', 1_700_000_010_000, 1_699_999_999_900],
    ['ai_stream_events', 1_700_000_020_000, 1_700_000_010_000],
  ])
  stop()
  vi.advanceTimersByTime(60_000)
  expect(statuses()).toHaveLength(2)
})

test('the newest of many errors, once per second, with timestamps in fractional seconds', () => {
  const { events, sent, stop } = standIn()
  const errors = () => sent.filter(({ event }) => event.type === 'error').map(({ event }) => event)
  vi.advanceTimersByTime(250)
  for (const message of ['one', 'two', 'three']) events.emit({ type: 'error', source: 'pipeline', message })
  expect(errors()).toEqual([])
  vi.advanceTimersByTime(750)
  expect(errors()).toEqual([
    { type: 'error', pipeline: 'effects', message: 'three', time: 1_700_000_000.25, timestamp: 1_700_000_001_000 },
  ])
  vi.advanceTimersByTime(5000)
  expect(errors()).toHaveLength(1)
  // One just before the end is still reported.
  events.emit({ type: 'error', source: 'ingest', message: 'last' })
  stop()
  expect(errors().at(-1)?.message).toBe('last')
})

test('a restart of the pipeline, but not of a decoder', () => {
  const { events, sent, report } = standIn()
  events.emit({ type: 'restart', source: 'decoder', count: 7 })
  events.emit({ type: 'restart', source: 'pipeline', count: 1, logs: ['a', 'b'] })
  expect(sent.at(-1)).toEqual({
    queue_event_type: 'ai_stream_events',
    event: {
      type: 'restart',
      pipeline: 'effects',
      restart_count: 1,
      restart_time: 1_700_000_000,
      restart_logs: ['a', 'b'],
      timestamp: 1_700_000_000_000,
    },
  })
  expect(report.takeStatus().inference_status).toMatchObject({ restart_count: 1, last_restart_logs: ['a', 'b'] })
  expect(report.status().inference_status).toMatchObject({
    restart_count: 1,
    last_restart_logs: null,
    last_restart_time: 1_700_000_000_000,
  })
})

test('params are sent once, until they change', () => {
  const { events, report } = standIn()
  expect(report.status().inference_status.last_params).toEqual({ effect: 'none' })
  expect(report.takeStatus().inference_status.last_params).toEqual({ effect: 'none' })
  expect(report.takeStatus().inference_status).toMatchObject({ last_params: null, last_params_hash: 'abc' })
  events.emit({ type: 'params', status: 'rejected', revision: 1, hash: 'abc' })
  expect(report.status().inference_status.last_params).toBeNull()
  vi.advanceTimersByTime(1000)
  events.emit({ type: 'params', status: 'applied', revision: 2, hash: 'def' })
  expect(report.status().inference_status).toMatchObject({
    last_params: { effect: 'none' },
    last_params_update_time: 1_700_000_001_000,
  })
})

test('traces', () => {
  const { sent, session, stop } = standIn()
  vi.advanceTimersByTime(10)
  session.trace('runner_receive_first_ingest_segment')
  stop()
  session.trace('runner_send_first_processed_segment')
  expect(sent).toEqual([
    {
      queue_event_type: 'stream_trace',
      event: { type: 'runner_receive_stream_request', timestamp: 1_699_999_999_900 },
    },
    {
      queue_event_type: 'stream_trace',
      event: { type: 'runner_receive_first_ingest_segment', timestamp: 1_700_000_000_010 },
    },
  ])
})

test('the status has the keys of the contract, in order', () => {
  const { report } = standIn()
  const offline = offlineStatus('effects')
  const known = Object.keys(offline)
  expect(Object.keys(report.status()).slice(0, known.length)).toEqual(known)
  expect(Object.keys(report.status().inference_status)).toEqual(Object.keys(offline.inference_status))
  expect(report.status()).toMatchObject({
    input_status: { last_input_time: 1_700_000_000_500, fps: 30 },
    inference_status: { last_output_time: null, fps: 29.9 },
    dropped: { input: 2, before_pipeline: 1, after_pipeline: 2, failed: 3, readers: 4 },
  })
  // MD5 of {}.
  expect(offline.inference_status.last_params_hash).toBe('99914b932bd37a50b983c5e7c90ae93b')
})
