import { expect, test } from 'vitest'
import { AppError } from '../../../../src/core/errors.ts'
import { paramsService } from '../../../../src/http/params/channel.ts'
import type { LiveStream } from '../../../../src/stream/live-stream.ts'

const CHANNEL = { protocol: '', maxMessageBytes: 65_536 }
const allowed = async () => {}

/** A stream that accepts any params and records requests. */
function streamOf(asked: unknown[], ignored: string[] = []): LiveStream {
  const updateParams = async (mode: string, value: Record<string, unknown>) => {
    asked.push([mode, value])
    return { status: value.later ? 'accepted' : 'applied', revision: 7, hash: 'h', params: value, ignored }
  }
  return { name: 'demo', params: { pipeline: 'noop' }, updateParams } as unknown as LiveStream
}

async function ask(message: string | Buffer, { channel = CHANNEL, permit = allowed, asked = [] as unknown[] } = {}) {
  const service = paramsService(() => streamOf(asked, ['/odd']), 1000, permit)
  return JSON.parse(await service(Buffer.from(message as string), channel))
}

test('the reply equals that over HTTP, with its status', async () => {
  const params = { strength: 0.5 }
  const answer = { stream: 'demo', pipeline: 'noop', revision: 7, hash: 'h', params, ignored: ['/odd'] }
  expect(await ask(JSON.stringify(params))).toEqual({ status: 200, ...answer })
  expect(await ask('{"later":true}')).toMatchObject({ status: 202, params: { later: true } })
})

test('the subprotocol of the channel selects replace or merge', async () => {
  const asked: [string, unknown][] = []
  for (const protocol of ['', 'merge', 'replace']) await ask('{"a":1}', { channel: { ...CHANNEL, protocol }, asked })
  expect(asked.map(([mode]) => mode)).toEqual(['merge', 'merge', 'replace'])
  expect(await ask('{}', { channel: { ...CHANNEL, protocol: 'json' }, asked })).toMatchObject({
    status: 400,
    detail: expect.stringMatching(/"json".*merge.*replace/),
  })
  expect(asked).toHaveLength(3)
})

test.each<[string, string | Buffer, number]>([
  ['what is too long', JSON.stringify({ text: 'x'.repeat(1000) }), 413],
  ['what is no JSON', 'x', 400],
  ['what is no object', '7', 400],
  ['what is no text', Buffer.from([0x7b, 0xff, 0x7d]), 400],
  ['numbers beyond a double', '{"a":1e999}', 422],
])('%s', async (_, message, status) => {
  const asked: unknown[] = []
  expect(await ask(message, { asked })).toMatchObject({ status })
  expect(asked).toHaveLength(status === 200 ? 1 : 0)
})

test('clients without control rights change nothing, whatever they send', async () => {
  const asked: unknown[] = []
  const permit = async () => {
    throw new AppError('unauthorized', 'send a token')
  }
  for (const message of ['{"a":1}', 'x', 'x'.repeat(5000)]) {
    expect(await ask(message, { asked, permit })).toMatchObject({ status: 401, code: 'unauthorized' })
  }
  expect(asked).toEqual([])
})

test('a reply longer than the client accepts leaves the params out', async () => {
  const params = { text: 'x'.repeat(500) }
  const answer = await ask(JSON.stringify(params), { channel: { ...CHANNEL, maxMessageBytes: 300 } })
  expect(answer).toEqual({ status: 200, stream: 'demo', pipeline: 'noop', revision: 7, hash: 'h', ignored: ['/odd'] })
})
