import { once } from 'node:events'
import { connect } from 'node:net'
import { serve } from '@hono/node-server'
import { expect, onTestFinished, test } from 'vitest'
import { placementRoutes } from '../../../../src/http/routes/placements.ts'
import type { PlacementFeed } from '../../../../src/remote/livekit/placement-feed.ts'
import { waitFor } from '../../../helpers/wait.ts'

type Listener = Parameters<PlacementFeed['subscribe']>[0]

test('a dispatcher that does not read is let go, and the others hear on', async () => {
  const listeners = new Set<Listener>()
  const feed: Pick<PlacementFeed, 'subscribe' | 'ending'> = {
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    ending: new AbortController().signal,
  }
  const server = serve({ fetch: placementRoutes(feed as PlacementFeed).fetch, port: 0, hostname: '127.0.0.1' })
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const listen = async () => {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    const before = listeners.size
    socket.write('GET /placements HTTP/1.1\r\nhost: x\r\n\r\n')
    await waitFor('it to listen', () => listeners.size > before)
    return socket
  }
  const stuck = (await listen()).pause()
  const [first] = listeners
  let heard = 0
  const reading = (await listen()).on('data', (chunk) => {
    heard += chunk.length
  })
  onTestFinished(() => {
    for (const socket of [stuck, reading]) socket.destroy()
    server.close()
  })
  const line = 'x'.repeat(100_000)
  let told = 0
  await waitFor(
    'the end of the one that does not read',
    () => {
      for (const listener of listeners) listener(line)
      told += line.length
      return !listeners.has(first!)
    },
    { everyMs: 5 },
  )
  // What the buffers of the system hold comes before that.
  expect(told).toBeLessThan(64 * 1024 * 1024)
  expect(listeners.size).toBe(1)
  await waitFor('all of it at the other', () => heard > told)
})
