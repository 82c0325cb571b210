import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { AppError } from '../../../../src/core/errors.ts'
import { detailResponse, textResponse, validationDetail } from '../../../../src/livepeer/runner/error-shapes.ts'
import { InnerStart, OuterStart, startRequest } from '../../../../src/livepeer/start-request.ts'

const urls = { subscribe_url: 'http://o/in', publish_url: 'http://o/out' }
const missing = (field: string) => ({ loc: ['body', field], msg: 'Field required', type: 'missing' })
const noText = (field: string) => ({
  loc: ['body', field],
  msg: 'Input should be a valid string',
  type: 'string_type',
})

describe('a malformed body is a 422', () => {
  it.each<[string, unknown, unknown[]]>([
    ['an empty object', {}, [missing('subscribe_url'), missing('publish_url')]],
    ['one URL', { publish_url: 'x' }, [missing('subscribe_url')]],
    ['a number for a URL', { ...urls, publish_url: 7 }, [noText('publish_url')]],
    ['a list for an id', { ...urls, manifest_id: [] }, [noText('manifest_id')]],
    [
      'a list for params',
      { ...urls, params: [1] },
      [{ loc: ['body', 'params'], msg: 'Input should be a valid dictionary', type: 'dict_type' }],
    ],
    [
      'a text for params',
      { ...urls, params: '{}' },
      [{ loc: ['body', 'params'], msg: 'Input should be a valid dictionary', type: 'dict_type' }],
    ],
    ['no object at all', 'text', [expect.objectContaining({ loc: ['body'], type: 'model_attributes_type' })]],
    ['null', null, [expect.objectContaining({ loc: ['body'], type: 'model_attributes_type' })]],
  ])('%s', (_, body, expected) => {
    const { error } = OuterStart.safeParse(body)
    expect(error && validationDetail(error, body)).toEqual(expected)
  })
})

describe('a start request', () => {
  it('treats absent, null and empty alike', () => {
    const absent = startRequest(OuterStart.parse(urls))
    expect(absent).toEqual({
      subscribeUrl: 'http://o/in',
      publishUrl: 'http://o/out',
      controlUrl: '',
      eventsUrl: '',
      params: {},
      requestId: '',
      manifestId: '',
      streamId: '',
    })
    const empty = { control_url: '', events_url: null, params: null, gateway_request_id: '', manifest_id: null }
    expect(startRequest(OuterStart.parse({ ...urls, ...empty }))).toEqual(absent)
  })

  it('uses the request id of each API as in the contract, and ignores unknown fields', () => {
    const both = { ...urls, request_id: 'inner', gateway_request_id: 'outer', other: 1 }
    expect(startRequest(OuterStart.parse(both)).requestId).toBe('outer')
    expect(startRequest(InnerStart.parse(both)).requestId).toBe('inner')
  })
})

describe('an error', () => {
  const invalid = new AppError('invalid-params', 'the params are not valid', {
    issues: [
      { path: ['effect'], message: 'expected one of none, invert' },
      { path: ['size', 'width'], message: 'too small' },
    ],
  })
  const line = 'the params are not valid; effect: expected one of none, invert; size.width: too small'
  it.each<[string, unknown, number, string, Record<string, string>]>([
    ['of params', invalid, 400, line, {}],
    ['of a URL', new AppError('invalid-request', 'not allowed'), 400, 'not allowed', {}],
    ['of a channel', new AppError('trickle-failed', 'unreachable'), 400, 'unreachable', {}],
    ['of time', new AppError('timeout', 'too late'), 400, 'too late', {}],
    ['of room', new AppError('capacity', 'all are taken'), 503, 'all are taken', { 'retry-after': '5' }],
  ])('%s', async (_, thrown, status, message, headers) => {
    const app = new Hono()
    app.get('/outer', (c) => detailResponse(c, thrown))
    app.get('/inner', (c) => textResponse(c, 'Error starting stream', thrown))
    const outer = await app.request('/outer')
    expect(outer.status).toBe(status)
    expect(outer.headers.get('content-type')).toMatch(/^application\/json/)
    expect(await outer.json()).toEqual({ detail: { msg: message } })
    const inner = await app.request('/inner')
    expect(inner.status).toBe(status)
    expect(inner.headers.get('content-type')).toMatch(/^text\/plain/)
    expect(await inner.text()).toBe(`Error starting stream: ${message}`)
    for (const [name, value] of Object.entries(headers)) expect(outer.headers.get(name)).toBe(value)
  })

  it('of the server itself is a 500 in the outer API', async () => {
    const app = new Hono()
    app.get('/', (c) => detailResponse(c, new Error('broken')))
    expect((await app.request('/')).status).toBe(500)
  })

  it('of the token is the same in both', async () => {
    const app = new Hono()
    const refused = new AppError('unauthorized', 'send a token')
    app.get('/outer', (c) => detailResponse(c, refused))
    app.get('/inner', (c) => textResponse(c, 'Error', refused))
    for (const path of ['/outer', '/inner']) {
      const answer = await app.request(path)
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
      expect(await answer.json()).toEqual({ detail: { msg: 'Invalid bearer token.' } })
    }
  })
})
