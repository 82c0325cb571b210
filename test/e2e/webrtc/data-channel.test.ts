import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openTrickleSubscriber } from '../../../src/trickle/client/subscriber.ts'
import { jsonMessages } from '../../../src/trickle/json.ts'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import {
  askParams,
  type JoinOptions,
  joinWithChannels,
  messagesOf,
  type ParamsAnswer,
  PUBLISH_CANVAS,
} from '../../helpers/browser/data-channels.ts'
import { LARGE_CLIP } from '../../helpers/media/clip.ts'
import { record } from '../../helpers/media/record.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

type Message = { pts: number; rtpTimestamp?: number; lost?: number; data: { number: number; boxes: unknown[] } }

const TOKEN = 'a-long-secret'
const headers = { authorization: `Bearer ${TOKEN}` }
const MAX_BODY_BYTES = 4096
const log = pino({ level: 'silent' })

let stage: Stage
let browser: Browser
beforeAll(async () => {
  const PIPELINE_DIR = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
  const env = { PIPELINE_DIR, AUTH_TOKEN: TOKEN, MAX_BODY_BYTES: String(MAX_BODY_BYTES), MAX_STREAMS: '8' }
  stage = await setStage({ env: { ...env, WARM_PIPELINES: '0', PIPELINE: 'noop' } })
  browser = await launchChromium()
  const clip = await stage.clip(LARGE_CLIP)
  const outputArgs = ['-headers', `Authorization: Bearer ${TOKEN}\r\n`, '-c', 'copy', '-f', 'mpegts']
  await stage.publish('demo', clip, { query: '?pipeline=tracks', outputArgs })
})
afterAll(async () => {
  await browser?.close()
  await stage?.[Symbol.asyncDispose]()
})

const join = (path: string, labels: string[], options: JoinOptions = {}) =>
  joinWithChannels(browser, stage.url, path, labels, options)

function expectThousand(way: string, messages: Message[], from: number): void {
  expect(
    messages.map(({ data }) => data.number),
    way,
  ).toEqual(Array.from({ length: 1000 }, (_, index) => from + index))
  expect(messages.every(({ pts, lost }, at) => lost === undefined && pts >= (messages[at - 1]?.pts ?? 0))).toBe(true)
}

const linesOf = (text: string, pattern: RegExp): Message[] =>
  [...text.matchAll(pattern)].map(([, json = '']) => JSON.parse(json))

it('a thousand messages arrive in order in each direction', async () => {
  const url = `${stage.url}/streams/demo/params`
  const patch = async (body: unknown) => {
    expect((await httpJson('PATCH', url, { headers, body })).status).toBe(200)
  }
  // Silences the pipeline, so that both directions start with the same message.
  await patch({ until: 0 })
  let from = -1
  await waitFor('silence', async () => {
    const before = from
    from = (await stage.status('demo')).data.messages
    return from === before
  })
  await using lines = await record(`${stage.url}/out/demo.jsonl`)
  await using events = await record(`${stage.url}/streams/demo/events`)
  const next = await http('GET', `${stage.url}/trickle/demo-data/next`)
  const trickle = { url: `${stage.url}/trickle/demo-data`, start: Number(next.headers['lp-trickle-latest']) }
  await using subscription = await openTrickleSubscriber(trickle, { log })
  const page = await join('/whep/demo', ['data'])
  await waitFor('the channel', () => page.evaluate<boolean>("channels.data.readyState === 'open'"))
  await patch({ messages: 20, until: from + 1000 })

  const segments: Message[] = []
  for await (const message of jsonMessages(subscription)) if (segments.push(message as Message) === 1000) break
  expect(subscription.missed).toBe(0)
  expectThousand('trickle', segments, from)
  const overChannel = () => messagesOf<Message>(page, 'data')
  await waitFor('all on the channel', async () => (await overChannel()).length === 1000)
  expectThousand('data channel', await overChannel(), from)
  const offsets = (await overChannel()).map(({ pts, rtpTimestamp }) => (rtpTimestamp! - pts + 2 ** 34) % 2 ** 32)
  expect(new Set(offsets)).toEqual(new Set([offsets[0]]))
  const asLines = () => linesOf(lines.bytes().toString(), /(.*)\n/g)
  await waitFor('all lines', () => asLines().length === 1000)
  expectThousand('lines', asLines(), from)
  const asEvents = () => linesOf(events.bytes().toString(), /event: data\ndata: (.*)\n\n/g)
  await waitFor('all events', () => asEvents().length === 1000)
  expectThousand('events', asEvents(), from)
  expect((await stage.status('demo')).data).toEqual({ messages: from + 1000, lost: 0, missed: 0 })
  await page.close()
  await patch({ until: null, messages: null })
})

it('a client whose offer needs another channel gets `data` opened by the server', async () => {
  const page = await join('/whep/demo', ['whatever'])
  await waitFor('messages', async () => (await messagesOf(page, 'data')).length > 10)
  expect(await messagesOf(page, 'whatever')).toEqual([])
  await page.close()
})

it('one channel per label is served, and another one once it is closed', async () => {
  const page = await join('/whep/demo', ['data'])
  await waitFor('messages', async () => (await messagesOf(page, 'data')).length > 10)
  await page.evaluate("window.first = channels.data; follow(peer.createDataChannel('data'))")
  await waitFor('its end', () => page.evaluate<boolean>("channels.data.readyState === 'closed'"))
  expect(await page.evaluate('first.readyState')).toBe('open')
  await page.evaluate('first.close()')
  await waitFor('the end of the first', () => page.evaluate<boolean>("first.readyState === 'closed'"))
  await page.evaluate("follow(peer.createDataChannel('data'))")
  await waitFor('messages on a new one', async () => (await messagesOf(page, 'data')).length > 10)
  await page.close()
})

it('params over the channel are answered as over HTTP, in order', async () => {
  const page = await join('/whep/demo', ['params'], { token: TOKEN })
  const [merged, refused, nonsense, list, whole] = await askParams(
    page,
    '{"messages":3}',
    '{"messages":0}',
    'nonsense',
    '[]',
    '{"show_reloading_frame":false}',
  )
  const now = (await httpJson<ParamsAnswer>('GET', `${stage.url}/streams/demo/params`)).json
  expect(whole).toEqual({ ...now, status: 200, params: { ...now.params, messages: 3, show_reloading_frame: false } })
  // Of a burst of changes the newest is applied, and each is answered.
  expect(merged!.revision).toBeLessThanOrEqual(whole!.revision!)
  expect(merged!.status).toBe(200)
  const patch = (body: unknown) => httpJson('PATCH', `${stage.url}/streams/demo/params`, { headers, body })
  expect(refused).toEqual((await patch({ messages: 0 })).json)
  expect(refused).toMatchObject({ status: 422, errors: [{ path: '/messages' }] })
  expect(nonsense).toMatchObject({ status: 400, code: 'invalid-request', detail: expect.stringContaining('not JSON') })
  expect(list).toMatchObject({ status: 400, detail: expect.stringContaining('must be a JSON object') })
  await page.close()

  const replacing = await join('/whep/demo', ['params:replace'], { token: TOKEN })
  const [replaced] = await askParams(replacing, '{"messages":2}')
  expect(replaced).toMatchObject({ status: 200, params: { messages: 2, show_reloading_frame: true } })
  const long = JSON.stringify({ filling: 'x'.repeat(MAX_BODY_BYTES) })
  // The browser itself enforces the negotiated size.
  expect(
    await replacing.evaluate(
      `(() => { try { channels.params.send('${long}') } catch (error) { return error.name } })()`,
    ),
  ).toBe('TypeError')
  await replacing.close()
})

it('a viewer without control rights is told so, and changes nothing', async () => {
  const before = (await httpJson('GET', `${stage.url}/streams/demo/params`)).json
  for (const token of ['', 'another']) {
    const page = await join('/whep/demo', ['params'], { token })
    const [answer] = await askParams(page, '{"messages":7}')
    expect(answer).toMatchObject({ status: 401, code: 'unauthorized' })
    await page.close()
  }
  expect((await httpJson('GET', `${stage.url}/streams/demo/params`)).json).toEqual(before)
})

it('a publisher changes the params of its stream, with any pipeline', async () => {
  const page = await join('/whip/mine?pipeline=effects', ['params'], { token: TOKEN, add: PUBLISH_CANVAS })
  await stage.waitForStatus('mine', 'frames', ({ egress }) => egress.fps > 0)
  const [inverted] = await askParams(page, '{"effect":"invert"}')
  expect(inverted).toMatchObject({ status: 200, stream: 'mine', pipeline: 'effects', params: { effect: 'invert' } })
  const swap = { headers, body: { pipeline: 'tracks' } }
  expect((await httpJson('PUT', `${stage.url}/streams/mine/pipeline`, swap)).status).toBe(200)
  const [answer] = await askParams(page, '{"messages":2}')
  expect(answer).toMatchObject({ status: 200, pipeline: 'tracks', params: { messages: 2 } })
  await page.close()
  await httpJson('DELETE', `${stage.url}/streams/mine`, { headers })
})

it('no error was logged meanwhile', () => {
  expect(stage.server.logs.text).not.toMatch(/unhandled rejection|uncaught exception|"level":[56]0/)
})
