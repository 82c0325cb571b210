import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { bodyDeadline, smallBodies } from '../../../../src/http/guards/limits.ts'
import { closeUnread } from '../../../../src/http/guards/unread-body.ts'
import { http } from '../../../helpers/server/http.ts'
import { serveApp } from '../app-server.ts'

const serve = () =>
  serveApp((app) => {
    app.use(closeUnread())
    app.use(bodyDeadline(300))
    app.use(smallBodies(1000))
    app.post('/', async (c) => c.text(`got ${(await c.req.text()).length}`))
    app.post('/slow', async (c) => {
      await c.req.text()
      await new Promise((resolve) => setTimeout(resolve, 600))
      return c.text('done')
    })
  })

describe('bodies', () => {
  it('pass when small and in time', async () => {
    await using server = await serve()
    expect(await http('POST', server.url, { body: 'x'.repeat(1000) })).toMatchObject({ status: 200, text: 'got 1000' })
  })

  it('above the limit are refused, with and without Content-Length', async () => {
    await using server = await serve()
    const said = await http('POST', server.url, { body: 'x'.repeat(1001) })
    expect(said.status).toBe(413)
    expect(JSON.parse(said.text)).toMatchObject({ code: 'invalid-request', status: 413 })
    const chunked = await raw(server.port, `7d0\r\n${'x'.repeat(2000)}\r\n0\r\n\r\n`, 'Transfer-Encoding: chunked')
    expect(chunked).toMatch(/^HTTP\/1.1 413 /)
  })

  it('that do not arrive end with 408, and their connection closes', async () => {
    await using server = await serve()
    const answer = await raw(server.port, 'only this', 'Content-Length: 100')
    expect(answer).toMatch(/^HTTP\/1.1 408 /)
    expect(answer).toContain('"code":"timeout"')
  })

  it('that arrive in time may be processed for longer', async () => {
    await using server = await serve()
    expect(await http('POST', `${server.url}/slow`, { body: 'x' })).toMatchObject({ status: 200, text: 'done' })
  })
})

/** Sends a raw request, and reads until the server closes the connection. */
async function raw(port: number, body: string, header: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  socket.write(`POST / HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n${body}`)
  await once(socket, 'close')
  return text
}
