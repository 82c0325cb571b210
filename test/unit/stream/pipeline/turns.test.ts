import { expect, it } from 'vitest'
import { Turns } from '../../../../src/stream/pipeline/turns.ts'

it('admits two, and the next when one is done; an aborted waiter does not take a turn', async () => {
  const turns = new Turns()
  const live = new AbortController()
  const free = await turns.take(live.signal)
  await turns.take(live.signal)
  const gone = new AbortController()
  const waiting = turns.take(gone.signal)
  let third = 0
  const next = turns.take(live.signal).then((give) => {
    third++
    return give
  })
  gone.abort(new Error('a newer one came'))
  await expect(waiting).rejects.toThrow('a newer one came')
  expect(third).toBe(0)
  free()
  await next
  await expect(turns.take(gone.signal)).rejects.toThrow('a newer one came')
})
