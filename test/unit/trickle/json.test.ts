import { expect, test } from 'vitest'
import { openTricklePublisher } from '../../../src/trickle/client/publisher.ts'
import { openTrickleSubscriber } from '../../../src/trickle/client/subscriber.ts'
import { JsonPublisher, jsonMessages } from '../../../src/trickle/json.ts'
import { Channel } from '../../../src/trickle/server/channel.ts'
import { publishTo } from '../../../src/trickle/server/local-publication.ts'
import { subscribeTo } from '../../../src/trickle/server/local-subscription.ts'
import { get, pause, post, serve, silent, until, Wire } from './harness.ts'

test('values are sent one per segment, in order, and read back', async () => {
  const { url, trickle } = await serve()
  const publication = await openTricklePublisher(
    { url: `${url}/events`, mime: 'application/json', create: true },
    { log: silent },
  )
  const subscription = await openTrickleSubscriber({ url: `${url}/events` }, { log: silent })
  const events = new JsonPublisher(publication)
  const got: unknown[] = []
  const reading = (async () => {
    for await (const value of jsonMessages(subscription)) got.push(value)
  })()
  await until(() => trickle.readers > 0)
  for (let n = 0; n < 40; n++) events.send({ event: { n } })
  await until(() => got.length === 40)
  await events.close()
  await reading
  expect(got).toEqual(Array.from({ length: 40 }, (_, n) => ({ event: { n } })))
  expect(events.dropped).toBe(0)
})

test('closing sends the pending values', async () => {
  const { url, port } = await serve()
  const publication = await openTricklePublisher(
    { url: `${url}/events`, mime: 'application/json', deleteOnClose: false },
    { log: silent },
  )
  const events = new JsonPublisher(publication)
  for (let n = 0; n < 10; n++) events.send(n)
  await events.close()
  expect((await get(port, '/events/9')).text).toBe('9')
})

test('a reader that asks a little late for the last value still gets it', async () => {
  const { url, port, trickle } = await serve()
  trickle.create('events', 'application/json')
  const publication = await openTricklePublisher({ url: `${url}/events`, mime: 'application/json' }, { log: silent })
  const events = new JsonPublisher(publication)
  events.send('the first')
  expect((await get(port, '/events/0')).text).toBe('"the first"')
  events.send('the reason why it ends')
  const closing = events.close()
  await until(() => publication.stats().segments === 2)
  await pause(100)
  expect((await get(port, '/events/1')).text).toBe('"the reason why it ends"')
  await closing
  expect(trickle.get('events')).toBeUndefined()
})

test('a full queue drops its oldest values, counted', () => {
  const channel = new Channel('events', 'application/json')
  const events = new JsonPublisher(publishTo(channel), { maxQueued: 3 })
  for (let n = 0; n < 10; n++) events.send(n)
  // The first is in flight, three are queued.
  expect(events.dropped).toBe(6)
})

test('a message is read whole however it was split; keepalives, junk and oversized ones are skipped', async () => {
  const { port, trickle } = await serve()
  const channel = trickle.create('control', 'application/json')
  const errors: string[] = []
  const got: unknown[] = []
  const reading = (async () => {
    const options = { maxBytes: 200_000, onError: (error: Error) => errors.push(error.message) }
    for await (const value of jsonMessages(subscribeTo(channel, -2), options)) got.push(value)
  })()
  const split = new Wire(port).post('/control/0').chunk('{"strength"')
  await pause(20)
  split.chunk(': 0.5}').end()
  await split.until('200 OK')
  const long = { prompt: 'x'.repeat(100_000) }
  const bodies = [
    '{"keep":"alive"}',
    '{"keep": "alive"}',
    'not json',
    '{"keep":"alive","more":1}',
    `"${'y'.repeat(300_000)}"`,
    JSON.stringify(long),
  ]
  for (const [index, body] of bodies.entries()) await post(port, `/control/${index + 1}`, body)
  await until(() => got.length === 3)
  channel.close()
  await reading
  expect(got).toEqual([{ strength: 0.5 }, { keep: 'alive', more: 1 }, long])
  expect(errors).toEqual([
    'message 3 was ignored: it is not JSON',
    'message 5 was ignored: it is longer than 200000 bytes',
  ])
})
