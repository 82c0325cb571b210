import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { DEFAULT_PORT } from '../../../src/webrtc/ice/port.ts'
import { http } from '../../helpers/server/http.ts'
import { startServer } from '../../helpers/server/server.ts'
import { WeriftViewer } from './support/viewer.ts'

/** Binds the port as another program would; 0 for any. */
async function take(protocol: 'UDP' | 'TCP', port: number): Promise<{ port: number } & AsyncDisposable> {
  if (protocol === 'UDP') {
    const socket = createSocket('udp4').bind(port, '0.0.0.0')
    await once(socket, 'listening')
    return { port: socket.address().port, [Symbol.asyncDispose]: async () => void socket.close() }
  }
  const server = createServer().listen(port, '0.0.0.0')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: async () => void server.close() }
}

test.each(['UDP', 'TCP'] as const)(
  'a configured UDP_PORT in use by %s fails the start with the reason',
  async (protocol) => {
    await using taken = await take(protocol, 0)
    const start = startServer({ env: { UDP_PORT: String(taken.port) } })
    await expect(start).rejects.toThrow(
      new RegExp(`port ${taken.port} is taken, by UDP or TCP: WebRTC needs both \\(UDP_PORT\\); 0 takes any free port`),
    )
  },
)

test('the default port, if in use, is replaced by a free one with a warning', async () => {
  // Another server on this machine may have bound it already.
  await using _ = await take('TCP', DEFAULT_PORT).catch(() => ({ [Symbol.asyncDispose]: async () => {} }))
  await using server = await startServer({ env: { UDP_PORT: '' } })
  const { port } = (await server.logs.waitFor(
    ({ msg }) => String(msg).startsWith(`port ${DEFAULT_PORT} is taken`),
    'the warning',
  )) as unknown as { port: number }
  expect(port).not.toBe(DEFAULT_PORT)
  const viewer = new WeriftViewer()
  const answer = await http('POST', `${server.url}/whep/demo`, {
    headers: { 'content-type': 'application/sdp' },
    body: await viewer.offer(),
  })
  await viewer.peer.close()
  const ports = [...answer.text.matchAll(/a=candidate:\S+ 1 \S+ \d+ \S+ (\d+)/g)].map((match) => Number(match[1]))
  expect(new Set(ports)).toEqual(new Set([port]))
})
