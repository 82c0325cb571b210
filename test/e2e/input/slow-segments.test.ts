import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { http } from '../../helpers/server/http.ts'
import { startServer } from '../../helpers/server/server.ts'

it('a trickle segment that takes seconds to send arrives whole, piece by piece, and so does the next one', async () => {
  await using server = await startServer({ env: { WARM_PIPELINES: '0' } })
  const channel = `${server.url}/trickle/slow`
  const created = await http('POST', channel, { headers: { 'expect-content': 'application/json' } })
  expect(created.status).toBe(200)
  for (const seq of [0, 1]) {
    const outgoing = request(`${channel}/${seq}`, { method: 'POST', agent: false })
    outgoing.write('{"piece":0}\n')
    const reading = request(`${channel}/${seq}`).end()
    const [response] = (await once(reading, 'response')) as [IncomingMessage]
    const pieces: string[] = []
    response.setEncoding('utf8').on('data', (text: string) => pieces.push(text))
    for (let piece = 1; piece < 20; piece++) {
      await sleep(100)
      outgoing.write(`{"piece":${piece}}\n`)
    }
    const answered = once(outgoing, 'response')
    outgoing.end()
    const ended = once(response, 'end')
    const [answer] = (await answered) as [IncomingMessage]
    expect(answer.resume().statusCode).toBe(200)
    await ended
    expect(pieces.join('')).toBe(Array.from({ length: 20 }, (_, piece) => `{"piece":${piece}}\n`).join(''))
    expect(pieces.length).toBeGreaterThan(5)
  }
}, 60_000)
