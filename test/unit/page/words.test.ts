import { ReadableStream } from 'node:stream/web'
import { describe, expect, test } from 'vitest'
import { pageModule } from './page-module.ts'

const { bitrate, duration, fileSize, label, sayError, sentence } = await pageModule('words.js')
const { ApiError, UnreachableError } = await pageModule('client/index.js')
const { sayEvent } = await pageModule('live/event-log.js')
const { parseEvents } = await pageModule('client/server-events.js')
const { ceiling, roundUp } = await pageModule('live/charts.js')

describe('words', () => {
  test('errors say what to do', () => {
    expect(sayError(new UnreachableError())).toMatch(/does not answer/)
    const full = new ApiError(503, { code: 'capacity', detail: 'all 2 streams of this server are taken' }, 5)
    expect(sayError(full)).toBe('All 2 streams of this server are taken. Try again in 5 s, or stop another stream.')
    const invalid = new ApiError(422, { detail: 'not valid', errors: [{ path: '/strength', message: 'too big' }] })
    expect(sayError(invalid)).toBe('Not valid. Strength: too big.')
    const broken = new ApiError(502, { code: 'pipeline-failed', detail: 'the pipeline onnx does not start' })
    expect(sayError(broken)).toMatch(/^The pipeline onnx does not start\. The events below .* give the cause/)
    const large = new ApiError(413, { code: 'invalid-request', detail: 'the body is longer than 1048576 bytes' })
    expect(sayError(large)).toMatch(/raise MAX_BODY_BYTES/)
    expect(sayError(Object.assign(new Error('x'), { name: 'NotAllowedError' }))).toMatch(/Allow camera/)
    expect(sayError(new Error('plain'))).toBe('Plain.')
  })

  test('formatting of values', () => {
    expect(label('show_reloading_frame')).toBe('Show reloading frame')
    expect(label('maxFaces')).toBe('Max faces')
    expect(sentence('a b')).toBe('A b.')
    expect([0, 65_000, 3_725_000].map(duration)).toEqual(['0:00', '1:05', '1:02:05'])
    expect([0, 850, 2480].map(bitrate)).toEqual(['0 kbit/s', '850 kbit/s', '2.5 Mbit/s'])
    expect([1, 31, 41, 99, 0.4, 1050].map(roundUp)).toEqual([1, 40, 50, 100, 0.4, 1200])
  })

  test('one peak does not set the scale of a chart', () => {
    expect(ceiling([])).toBe(0)
    expect(ceiling([5, 6, 7])).toBe(7)
    expect(ceiling([...Array(50).fill(10), 300])).toBe(20)
  })

  test('events become sentences, except statuses', () => {
    expect(sayEvent({ type: 'publisher', event: 'joined', kind: 'mpegts' }).text).toMatch(
      /Publisher connected over MPEG-TS/,
    )
    expect(sayEvent({ type: 'state', state: 'ERROR' })).toMatchObject({ tone: 'bad' })
    const rejected = { type: 'params', status: 'rejected', revision: 1, error: { message: 'too big' } }
    expect(sayEvent(rejected)).toMatchObject({ tone: 'warn', detail: 'too big' })
    expect(sayEvent({ type: 'status', status: {} })).toBeUndefined()
    const recorded = { type: 'recording', status: 'finished', view: 'output', files: ['a.mp4', 'b.mp4'] }
    expect(sayEvent(recorded)).toMatchObject({ tone: 'idle', detail: 'a.mp4, b.mp4' })
    expect([999, 1_250_000, 3_210_000_000].map(fileSize)).toEqual(['1 kB', '1.3 MB', '3.21 GB'])
  })
})

describe('server-sent events', () => {
  const read = async (chunks: string[]) => {
    const body = ReadableStream.from(chunks.map((chunk) => new TextEncoder().encode(chunk)))
    return await Array.fromAsync(parseEvents(body))
  }

  test('ids, multi-line data, comments, and arbitrary chunking', async () => {
    const text = ': hello\n\nid: 7\nevent: state\ndata: {"a":\ndata: 1}\n\nid: 8\r\ndata: x\r\n\r\ndata: cut off'
    const expected = [
      { id: '7', data: '{"a":\n1}' },
      { id: '8', data: 'x' },
    ]
    expect(await read([text])).toEqual(expected)
    expect(await read([...text])).toEqual(expected)
  })
})
