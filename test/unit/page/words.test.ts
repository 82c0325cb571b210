import { ReadableStream } from 'node:stream/web'
import { describe, expect, test } from 'vitest'
import { pageModule } from './page-module.ts'

const { bitrate, duration, label, sayError, sentence } = await pageModule('words.js')
const { ApiError, Unreachable } = await pageModule('api.js')
const { sayEvent } = await pageModule('live/event-log.js')
const { parseEvents } = await pageModule('live/event-source.js')
const { ceiling, roundUp } = await pageModule('live/charts.js')

describe('words', () => {
  test('errors say what to do', () => {
    expect(sayError(new Unreachable())).toMatch(/does not answer/)
    const full = new ApiError(503, { code: 'capacity', detail: 'all 2 streams of this server are taken' }, 5)
    expect(sayError(full)).toBe('All 2 streams of this server are taken. Try again in 5 s, or stop another stream.')
    const invalid = new ApiError(422, { detail: 'not valid', errors: [{ path: '/strength', message: 'too big' }] })
    expect(sayError(invalid)).toBe('Not valid. Strength: too big.')
    expect(sayError(Object.assign(new Error('x'), { name: 'NotAllowedError' }))).toMatch(/Allow camera/)
    expect(sayError(new Error('plain'))).toBe('Plain.')
  })

  test('small things', () => {
    expect(label('show_reloading_frame')).toBe('Show reloading frame')
    expect(label('maxFaces')).toBe('Max faces')
    expect(sentence('a b')).toBe('A b.')
    expect([0, 65_000, 3_725_000].map(duration)).toEqual(['0:00', '1:05', '1:02:05'])
    expect([0, 850, 2480].map(bitrate)).toEqual(['0 kbit/s', '850 kbit/s', '2.5 Mbit/s'])
    expect([1, 31, 41, 99, 0.4, 1050].map(roundUp)).toEqual([1, 40, 50, 100, 0.4, 1200])
  })

  test('one peak does not set the height of a chart', () => {
    expect(ceiling([])).toBe(0)
    expect(ceiling([5, 6, 7])).toBe(7)
    expect(ceiling([...Array(50).fill(10), 300])).toBe(20)
  })

  test('events become sentences; a status is not one', () => {
    expect(sayEvent({ type: 'publisher', event: 'joined', kind: 'mpegts' }).text).toMatch(
      /publisher came, over MPEG-TS/,
    )
    expect(sayEvent({ type: 'state', state: 'ERROR' })).toMatchObject({ tone: 'bad' })
    const rejected = { type: 'params', status: 'rejected', revision: 1, error: { message: 'too big' } }
    expect(sayEvent(rejected)).toMatchObject({ tone: 'warn', detail: 'too big' })
    expect(sayEvent({ type: 'status', status: {} })).toBeUndefined()
  })
})

describe('server-sent events', () => {
  const read = async (chunks: string[]) => {
    const body = ReadableStream.from(chunks.map((chunk) => new TextEncoder().encode(chunk)))
    return await Array.fromAsync(parseEvents(body))
  }

  test('ids, several lines, comments, and cuts anywhere', async () => {
    const text = ': hello\n\nid: 7\nevent: state\ndata: {"a":\ndata: 1}\n\nid: 8\r\ndata: x\r\n\r\ndata: cut off'
    const expected = [
      { id: '7', data: '{"a":\n1}' },
      { id: '8', data: 'x' },
    ]
    expect(await read([text])).toEqual(expected)
    expect(await read([...text])).toEqual(expected)
  })
})
