import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MASK } from '../../../src/core/masked.ts'
import { record } from '../../helpers/media/record.ts'
import { httpJson } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { isOnAir } from '../../helpers/server/states.ts'
import { waitFor } from '../../helpers/wait.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
type Answer = { params: Record<string, unknown>; ignored?: string[]; revision: number }

let server: TestServer
beforeAll(async () => {
  server = await startServer({ env: { PIPELINE_DIR: fixtures, WARM_PIPELINES: '0', MAX_STREAMS: '4' } })
  for (const [stream, query] of [
    ['shaped', 'pipeline=transforms&params={"ratio":"4:3"}'],
    ['secretive', 'pipeline=keeps-secrets&params={"key":"first-secret"}'],
    ['plain', 'pipeline=effects&params={"effect":"edges","efect":"x"}'],
  ]) {
    const { status, json } = await httpJson('POST', `${server.url}/test-pattern/${stream}?${query}`)
    expect(status, JSON.stringify(json)).toBe(201)
    await waitFor(`${stream} on air`, async () => {
      const { json } = await httpJson<{ state: string }>('GET', `${server.url}/streams/${stream}`)
      return isOnAir(json.state)
    })
  }
})
afterAll(() => server?.stop())

const params = (method: string, stream: string, body?: unknown) =>
  httpJson<Answer>(method, `${server.url}/streams/${stream}/params`, { body })

describe('params are returned as they were set', () => {
  const first = { ratio: '4:3', percent: 50, box: { left: 0, right: 1 }, show_reloading_frame: true }

  it('at the start, with their defaults, and in the description', async () => {
    expect((await params('GET', 'shaped')).json.params).toEqual(first)
    const { json } = await httpJson<{ defaults: unknown }>('GET', `${server.url}/pipelines/transforms`)
    expect(json.defaults).toEqual({ ...first, ratio: '16:9' })
  })

  it('so that PUT accepts what GET returns', async () => {
    const { status, json } = await params('PATCH', 'shaped', { percent: 12, box: { left: 0.25 } })
    expect(status).toBe(200)
    const told = { ...first, percent: 12, box: { left: 0.25, right: 1 } }
    expect(json.params).toEqual(told)
    const got = (await params('GET', 'shaped')).json.params
    expect(got).toEqual(told)
    const put = await params('PUT', 'shaped', got)
    expect(put.status).toBe(200)
    expect(put.json.params).toEqual(told)
  })
})

describe('names unknown to the pipeline', () => {
  it('are listed in the answer', async () => {
    const merged = await params('PATCH', 'plain', { strength: 0.5, strenght: 0.9, 'a/b': {} })
    expect(merged.status).toBe(200)
    expect(merged.json.ignored).toEqual(['/strenght', '/a~1b'])
    expect(merged.json.params).not.toHaveProperty('strenght')
    const nested = await params('PATCH', 'shaped', { box: { left: 0.5, top: 1 } })
    expect(nested.json.ignored).toEqual(['/box/top'])
    expect((await params('PATCH', 'plain', { strength: 0.4 })).json).not.toHaveProperty('ignored')
  })

  it('and in the events, those of the start included', async () => {
    await using events = await record(`${server.url}/streams/plain/events?lastEventId=0`)
    await waitFor('the event', () => new TextDecoder().decode(events.bytes()).includes('ignored: /efect'))
  })
})

describe('secrets', () => {
  const lengths = async () => {
    await using lines = await record(`${server.url}/out/secretive.jsonl`)
    return await waitFor('data', () => {
      const line = /^.*\n/.exec(new TextDecoder().decode(lines.bytes()))?.[0]
      return line && (JSON.parse(line) as { data: unknown }).data
    })
  }

  it('are never returned, and keep their value when the mask is sent back', async () => {
    const login = { user: 'me', token: 'second-secret' }
    const set = await params('PATCH', 'secretive', { logins: [login, { user: 'you', token: null }] })
    expect(set.status, JSON.stringify(set.json)).toBe(200)
    const told = {
      key: MASK,
      note: 'none',
      logins: [
        { user: 'me', token: MASK },
        { user: 'you', token: null },
      ],
    }
    expect(set.json.params).toMatchObject(told)
    const got = (await params('GET', 'secretive')).json.params
    expect(got).toMatchObject(told)
    const put = await params('PUT', 'secretive', { ...got, note: 'changed' })
    expect([put.status, put.json.params]).toEqual([200, { ...got, note: 'changed' }])
    expect(await lengths()).toEqual({ key: 12, note: 'changed', tokens: [13, 0] })
  })

  it('nor shown by statuses and events, and survive a swap', async () => {
    const swapped = await httpJson('PUT', `${server.url}/streams/secretive/pipeline`, {
      body: { pipeline: 'keeps-secrets' },
    })
    expect(swapped.status).toBe(200)
    expect(await lengths()).toMatchObject({ key: 12, tokens: [13, 0] })
    await using events = await record(`${server.url}/streams/secretive/events?lastEventId=0`)
    await waitFor('a status', () => new TextDecoder().decode(events.bytes()).includes('"type":"status"'))
    const answers = [swapped.json, (await httpJson('GET', `${server.url}/streams`)).json]
    const all = new TextDecoder().decode(events.bytes()) + JSON.stringify(answers)
    expect(all).toContain(MASK)
    expect(all).not.toMatch(/(first|second)-secret/)
  })

  it('are replaced by a new value, and a mask without a value is left out', async () => {
    await params('PATCH', 'secretive', { key: 'abc' })
    await params('PUT', 'secretive', {
      key: MASK,
      logins: [
        { user: 'me', token: MASK },
        { user: 'new', token: 'x' },
      ],
    })
    expect(await lengths()).toMatchObject({ key: 3, tokens: [13, 1] })
    const fresh = await params('PUT', 'secretive', {})
    expect(fresh.json.params).toMatchObject({ key: '', logins: [] })
    expect((await params('PUT', 'secretive', { key: MASK })).json.params).toMatchObject({ key: '' })
  })
})
