import { expect, test } from 'vitest'
import { followControl } from '../../../src/stream/control.ts'
import { StreamEvents } from '../../../src/stream/events.ts'
import { subscribeTo } from '../../../src/trickle/server/local-subscription.ts'
import { post, serve, until } from '../trickle/harness.ts'

test('a control message with a whole number that a double does not hold is refused, and the next one is applied', async () => {
  const { port, trickle } = await serve()
  const channel = trickle.create('control', 'application/json')
  const applied: unknown[] = []
  const told: string[] = []
  const events = new StreamEvents()
  events.subscribe((event) => event.type === 'error' && told.push(event.message))
  const stream = {
    events,
    maxBodyBytes: 1000,
    updateParams: async (_: string, params: unknown) => void applied.push(params),
  }
  const following = followControl(stream, subscribeTo(channel, -2))
  await post(port, '/control/0', '{"seed": 9007199254740993}')
  await post(port, '/control/1', '{"seed": 9007199254740992}')
  await until(() => applied.length > 0)
  channel.close()
  await following
  expect(applied).toEqual([{ seed: 9007199254740992 }])
  expect(told).toEqual([expect.stringMatching(/message 0 was ignored: .*seed/)])
})
