import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { AppError } from '../../../src/core/errors.ts'
import { StreamEvents } from '../../../src/stream/events.ts'
import type { LiveStream } from '../../../src/stream/live-stream.ts'
import { RemoteControl } from '../../../src/stream/remote/control.ts'
import { RemoteMessages } from '../../../src/stream/remote/messages.ts'
import { openTricklePublisher } from '../../../src/trickle/client/publisher.ts'
import { openTrickleSubscriber } from '../../../src/trickle/client/subscriber.ts'
import { publishTo } from '../../../src/trickle/server/local-publication.ts'
import { HTTP_SERVER_OPTIONS, openTrickle } from '../../../src/trickle/server/server.ts'
import { silent, until } from '../../unit/trickle/harness.ts'

const context = { log: silent }

/** A trickle server with one channel that can be cut off: connections are closed, new ones too. */
async function unsteady() {
  const trickle = openTrickle({}, context)
  const channel = trickle.create('one', 'application/json')
  let down = false
  const server = createServer(HTTP_SERVER_OPTIONS, (request, response) => {
    if (down) request.socket.destroy()
    else trickle.handle(request, response, request.url ?? '/')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    await trickle.close()
    server.closeAllConnections()
    server.close()
  })
  return {
    channel,
    trickle,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/one`,
    fail: () => {
      down = true
      server.closeAllConnections()
    },
    mend: () => {
      down = false
    },
  }
}

const say = (channel: Parameters<typeof publishTo>[0], message: unknown) => {
  const writer = publishTo(channel).open()
  writer.write(Buffer.from(JSON.stringify(message)))
  writer.close()
}

test('messages continue when their channel comes back, and delete it at the end', async () => {
  const { url, channel, trickle, fail, mend } = await unsteady()
  const open = () => openTricklePublisher({ url, mime: 'application/json', maxFailures: 0 }, context)
  const failures: AppError[] = []
  const messages = new RemoteMessages({
    first: await open(),
    reopen: open,
    onFailure: (error) => failures.push(error),
  })
  messages.send({ n: 1 })
  await until(() => channel.head === 1)
  fail()
  await until(() => failures.length > 0)
  messages.send({ n: 'lost' })
  mend()
  await until(() => {
    messages.send({ n: 2 })
    return channel.head >= 2
  })
  await messages.close()
  expect(trickle.get('one')).toBeUndefined()
})

test('messages to a deleted channel end', async () => {
  const { url, channel } = await unsteady()
  const failures: AppError[] = []
  const messages = new RemoteMessages({
    first: await openTricklePublisher({ url, mime: 'application/json' }, context),
    reopen: () => Promise.reject(new Error('not asked for')),
    onFailure: (error) => failures.push(error),
  })
  channel.close()
  expect((await messages.closed).why).toBe('ended')
  expect(failures).toEqual([])
  messages.send({ n: 1 })
})

test('params continue when their channel comes back, and end when it is deleted', async () => {
  const { url, channel, fail, mend } = await unsteady()
  const events = new StreamEvents()
  const updates: unknown[] = []
  const stream = {
    events,
    updateParams: async (mode: string, value: unknown) => void updates.push([mode, value]),
  } as unknown as LiveStream
  const open = () => openTrickleSubscriber({ url, start: -2, maxFailures: 0 }, context)
  const failures: AppError[] = []
  const control = new RemoteControl({
    stream,
    first: await open(),
    reopen: open,
    onFailure: (error) => failures.push(error),
    complete: (message) => ({ width: 512, ...message }),
  })
  say(channel, { a: 1 })
  await until(() => updates.length === 1)
  fail()
  await until(() => failures.length > 0)
  mend()
  say(channel, { keep: 'alive' })
  say(channel, { a: 2, width: 256 })
  await until(() => updates.length > 1)
  expect(updates).toEqual([
    ['replace', { width: 512, a: 1 }],
    ['replace', { width: 256, a: 2 }],
  ])
  const errors: string[] = []
  events.subscribe((event) => event.type === 'error' && errors.push(event.message))
  say(channel, [1])
  await until(() => errors.length === 1)
  expect(errors[0]).toMatch(/must be a JSON object/)
  channel.close()
  expect((await control.closed).why).toBe('ended')
})

test('control can be closed while its channel is silent', async () => {
  const { url, trickle } = await unsteady()
  const stream = { events: new StreamEvents() } as unknown as LiveStream
  const open = () => openTrickleSubscriber({ url, start: -2 }, context)
  const control = new RemoteControl({ stream, first: await open(), reopen: open, onFailure: () => {} })
  await until(() => trickle.readers > 0)
  await control.close()
  await until(() => trickle.readers === 0)
})
