import { expect, test } from 'vitest'
import { Flights } from '../../../bench/lib/media/flights.ts'

const uneven = (number: number) => number * 3000 + ((number * 7919) % 1000)

test('pairs by presentation time, and counts missing frames', () => {
  const flights = new Flights()
  for (let i = 0; i < 10; i++) flights.sent(i * 3000, 100 + i)
  for (let i = 0; i < 10; i += 2) flights.landed(i * 3000, 105 + i)
  expect(flights.times()).toEqual([5, 5, 5, 5, 5])
  expect(flights.times(104)).toHaveLength(3)
  expect(flights.lost(0, 200)).toBe(5)
})

test('finds the offset of a clock with any start, across its wrap and with losses', () => {
  const flights = new Flights()
  const offset = 2 ** 32 - 40_000
  for (let i = 0; i < 60; i++) flights.sent(uneven(i), i * 33)
  for (let i = 5; i < 60; i++) if (i % 9 !== 0) flights.arrived((uneven(i) + offset) % 2 ** 32, i * 33 + 8)
  flights.resolve()
  const times = flights.times()
  expect(times).toHaveLength(49)
  expect(new Set(times)).toEqual(new Set([8]))
})

test('reports by how much the delay grows', () => {
  const flights = new Flights()
  for (let i = 0; i < 100; i++) flights.sent(i, i * 600)
  for (let i = 0; i < 100; i++) flights.landed(i, i * 600 + 5 + i * 0.02)
  expect(flights.slopePerMinute()).toBeCloseTo(2)
})
