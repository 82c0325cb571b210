import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Delivery, type DeliveryOptions } from '../../../src/webhooks/delivery.ts'
import { LogCollector } from '../../helpers/server/logs.ts'
import { waitFor } from '../../helpers/wait.ts'

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

type Try = { id: string; type: string; n: number }

/** A receiver that verifies signatures and records messages. */
async function open(answer: (one: Try, response: ServerResponse) => void, options: Partial<DeliveryOptions> = {}) {
  const tries: Try[] = []
  const server = createServer(async (request: IncomingMessage, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString()
    const { type, data } = new Webhook(secret).verify(body, request.headers as Record<string, string>) as {
      type: string
      data: { n: number }
    }
    const one = { id: String(request.headers['webhook-id']), type, n: data.n }
    tries.push(one)
    answer(one, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  const logs = new LogCollector()
  const delivery = new Delivery({ url, secret, firstPauseMs: 5, ...options }, { log: logs.log })
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await delivery.close()
  })
  return { delivery, tries, logs, url }
}

const answerWith = (status: number) => (_: Try, response: ServerResponse) => void response.writeHead(status).end()
const idle = (delivery: Delivery, all: number) =>
  waitFor('the last', () => delivery.counts.delivered + delivery.counts.dropped === all)

describe('webhooks', () => {
  it('are sent in order, signed, one after the other', async () => {
    let atOnce = 0
    const { delivery, tries } = await open((_, response) => {
      atOnce++
      setTimeout(() => {
        expect(atOnce--).toBe(1)
        response.writeHead(204).end()
      }, 2)
    })
    for (let n = 0; n < 20; n++) delivery.send('test', { n })
    await idle(delivery, 20)
    expect(tries.map(({ n }) => n)).toEqual(Array.from({ length: 20 }, (_, n) => n))
    expect(new Set(tries.map(({ id }) => id)).size).toBe(20)
    expect(delivery.counts).toEqual({ delivered: 20, dropped: 0, waiting: 0 })
  })

  it('are tried five times with one id, before later ones', async () => {
    const { delivery, tries, logs } = await open(({ n }, response) =>
      answerWith(n === 0 ? 503 : 200)({} as Try, response),
    )
    delivery.send('refused', { n: 0 })
    delivery.send('taken', { n: 1 })
    await idle(delivery, 2)
    expect(tries.map(({ n }) => n)).toEqual([0, 0, 0, 0, 0, 1])
    expect(new Set(tries.map(({ id }) => id)).size).toBe(2)
    expect(delivery.counts).toEqual({ delivered: 1, dropped: 1, waiting: 0 })
    expect(logs.named('webhook dropped')).toMatchObject([{ type: 'refused', why: 'it was answered by 503' }])
  })

  it('are sent with the user and password of the URL', async () => {
    const asked: (string | undefined)[] = []
    const server = createServer(({ headers }, response) => {
      asked.push(headers.authorization)
      response.end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://me:pa%3Ass@127.0.0.1:${(server.address() as AddressInfo).port}/hook`
    const delivery = new Delivery({ url, secret, firstPauseMs: 5 }, { log: new LogCollector().log })
    onTestFinished(async () => {
      await delivery.close()
      server.closeAllConnections()
      server.close()
    })
    delivery.send('test', { n: 0 })
    await idle(delivery, 1)
    expect(asked).toEqual([`Basic ${Buffer.from('me:pa:ss').toString('base64')}`])
  })

  it('do not follow a redirect', async () => {
    const { delivery, tries } = await open((_, response) =>
      response.writeHead(307, { location: 'http://127.0.0.1:9/elsewhere' }).end(),
    )
    delivery.send('test', { n: 0 })
    await idle(delivery, 1)
    expect([tries.length, delivery.counts.dropped]).toEqual([5, 1])
  })

  it('give up on a receiver that hangs or never ends its response', async () => {
    const { delivery, tries } = await open(
      ({ n }, response) => {
        if (n === 1) response.writeHead(200).write('and so on')
      },
      { answerMs: 50 },
    )
    delivery.send('hangs', { n: 0 })
    delivery.send('goes on', { n: 1 })
    await idle(delivery, 2)
    // The status counts as the response, whatever follows it.
    expect(delivery.counts).toEqual({ delivered: 1, dropped: 1, waiting: 0 })
    expect(tries.filter(({ n }) => n === 0).length).toBe(5)
  })

  it('wait in a bounded queue that drops its oldest', async () => {
    const held: ServerResponse[] = []
    let isOpen = false
    const { delivery, tries, logs } = await open(
      (_, response) => (isOpen ? void response.writeHead(204).end() : void held.push(response)),
      { maxWaiting: 10 },
    )
    delivery.send('test', { n: 0 })
    await waitFor('the first', () => held.length === 1)
    for (let n = 1; n <= 1000; n++) delivery.send('test', { n })
    expect(delivery.counts).toEqual({ delivered: 0, dropped: 990, waiting: 10 })
    isOpen = true
    held[0]!.writeHead(204).end()
    await idle(delivery, 1001)
    expect(tries.map(({ n }) => n)).toEqual([0, ...Array.from({ length: 10 }, (_, n) => 991 + n)])
    expect(logs.named('webhook dropped').every(({ why }) => why === 'too many wait')).toBe(true)
  })

  it('pending at shutdown are dropped after a moment, and no new ones are accepted', async () => {
    const { delivery } = await open(() => {})
    for (let n = 0; n < 3; n++) delivery.send('test', { n })
    const began = performance.now()
    await delivery.close()
    expect(performance.now() - began).toBeLessThan(10_000)
    delivery.send('test', { n: 3 })
    await waitFor('the first', () => delivery.counts.dropped === 3)
    expect(delivery.counts).toEqual({ delivered: 0, dropped: 3, waiting: 0 })
  })
})
