import { expect, it } from 'vitest'
import { StreamData } from '../../../../src/stream/output/data.ts'

it('delivers each message to current subscribers, in order', async () => {
  const data = new StreamData()
  data.publish(1, 'before')
  const readers = [data.subscribe(), data.subscribe()]
  for (let number = 0; number < 1000; number++) data.publish(number * 3000, { number })
  data.end()
  for (const reader of readers) {
    const lines: unknown[] = []
    for await (const line of reader) lines.push(JSON.parse(line))
    expect(lines).toEqual(Array.from({ length: 1000 }, (_, number) => ({ pts: number * 3000, data: { number } })))
  }
  expect(data).toMatchObject({ messages: 1001, lost: 0 })
})

it('keeps the newest for a slow subscriber, and reports how many were dropped', () => {
  const data = new StreamData()
  const reader = data.subscribe()
  for (let number = 0; number < 1500; number++) data.publish(number, number)
  expect(reader.shift()).toBe('{"pts":500,"lost":500,"data":500}')
  expect(reader.shift()).toBe('{"pts":501,"data":501}')
  const large = 'x'.repeat(60_000)
  for (let number = 0; number < 200; number++) data.publish(number, large)
  let count = 0
  while (reader.shift() !== undefined) count++
  expect(count).toBeLessThan(75)
})

it('counts undeliverable messages, and those lost before', () => {
  const data = new StreamData()
  const reader = data.subscribe()
  data.publish(1, 'x'.repeat(70_000))
  data.publish(2, undefined)
  data.publish(3, 'ok', 4)
  expect(data).toMatchObject({ messages: 1, lost: 6 })
  expect(reader.shift()).toBe('{"pts":3,"lost":4,"data":"ok"}')
})
