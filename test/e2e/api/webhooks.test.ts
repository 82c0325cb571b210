import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { http } from '../../helpers/server/http.ts'
import { type ServerOptions, startServer } from '../../helpers/server/server.ts'
import { isOnAir } from '../../helpers/server/states.ts'
import { waitFor } from '../../helpers/wait.ts'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

type Message = { id: string; type: string; data: Record<string, unknown> }
const tries: Message[] = []
const receiver = { answer: (_: Message): number => 204 }
let server: Server
let url: string
beforeAll(async () => {
  const signer = new Webhook(SECRET)
  server = createServer(async (request: IncomingMessage, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString()
    // Throws on an invalid signature or timestamp.
    const { type, data } = signer.verify(body, request.headers as Record<string, string>) as Message
    const message = { id: String(request.headers['webhook-id']), type, data }
    tries.push(message)
    response.writeHead(receiver.answer(message)).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
})
afterAll(() => void server?.close())

const start = (env: ServerOptions['env'] = {}) =>
  startServer({ env: { WEBHOOK_URL: url, WEBHOOK_SECRET: SECRET, WARM_PIPELINES: '0', ...env } })

it('report the start and end of streams in order, and are retried', async () => {
  tries.length = 0
  const refused = new Set<string>()
  receiver.answer = ({ id, type }) => {
    if (type !== 'publisher.joined' || refused.has(id)) return 204
    refused.add(id)
    return 500
  }
  await using millrace = await start()
  expect((await http('GET', `${millrace.url}/out/nobody.ts`)).status).toBe(404)
  expect((await http('POST', `${millrace.url}/test-pattern/demo`)).status).toBe(201)
  await waitFor('a state after LOADING', () => {
    const states = tries.flatMap(({ type, data }) => (type === 'pipeline.state' ? [data.state] : []))
    if (states.some((state) => isOnAir(state))) return true
    throw new Error(JSON.stringify(tries))
  })
  const metric = async (outcome: string) =>
    Number(
      new RegExp(`millrace_webhooks_total{outcome="${outcome}"} (\\d+)`).exec(
        (await http('GET', `${millrace.url}/metrics`)).text,
      )?.[1],
    )
  await waitFor('the count', async () => (await metric('delivered')) >= 3)
  expect(await metric('dropped')).toBe(0)
  // Streams ended by the exit of the server are reported too.
  await millrace.stop()

  expect(tries[0]).toMatchObject({ type: 'stream.started', data: { stream: 'demo' } })
  const joined = tries.findIndex(({ type }) => type === 'publisher.joined')
  expect(tries[joined]).toMatchObject({ data: { stream: 'demo', kind: 'mpegts' } })
  // The same message again, before any other.
  expect(tries[joined + 1]).toEqual(tries[joined])
  const types = tries.map(({ type }) => type)
  expect(types.slice(-1)).toEqual(['stream.ended'])
  expect(types).toContain('publisher.left')
  expect(new Set(tries.map(({ data }) => data.stream))).toEqual(new Set(['demo']))
}, 120_000)

it('report the state of a pipeline that is ready before its stream', async () => {
  tries.length = 0
  receiver.answer = () => 204
  await using millrace = await start()
  const isTold = (stream: string) => () =>
    tries.some(({ type, data }) => type === 'pipeline.state' && data.stream === stream && isOnAir(data.state))
  for (const stream of ['first', 'second']) {
    expect((await http('POST', `${millrace.url}/test-pattern/${stream}`)).status).toBe(201)
    await waitFor(`the state of ${stream}`, isTold(stream))
    // Its process is kept, and is the next stream's.
    expect((await http('DELETE', `${millrace.url}/streams/${stream}`)).status).toBe(200)
    await waitFor('its end', () => tries.some(({ type, data }) => type === 'stream.ended' && data.stream === stream))
  }
}, 120_000)

it('a receiver that hangs delays neither streams nor the exit of the server', async () => {
  await using silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const millrace = await start({ WEBHOOK_URL: `http://127.0.0.1:${port}/` })
  expect((await http('POST', `${millrace.url}/test-pattern/demo`)).status).toBe(201)
  expect((await http('DELETE', `${millrace.url}/streams/demo`)).status).toBe(200)
  await millrace.stop()
  expect(millrace.logs.lines.filter(({ msg }) => msg === 'webhook dropped').length).toBeGreaterThan(1)
  silent.closeAllConnections()
}, 120_000)

it.each<[string, ServerOptions['env'], string]>([
  ['no secret', { WEBHOOK_SECRET: '' }, 'WEBHOOK_SECRET is not set'],
  ['a weak one', { WEBHOOK_SECRET: 'whsec_c2hvcnQ=' }, 'WEBHOOK_SECRET is a value: must be whsec_'],
])('%s fails the start', async (_, env, why) => {
  await expect(start(env)).rejects.toThrow(why)
})
