import { expect, test } from 'vitest'
import { StreamEvents } from '../../../../src/stream/events.ts'
import { Audience } from '../../../../src/stream/output/audience.ts'

function audience(maxViewers = 10) {
  const events = new StreamEvents()
  const told: object[] = []
  events.subscribe((event) => {
    if (event.type === 'viewers') told.push([event.viewers, event.inputViewers])
  })
  let left = 0
  const it = new Audience({ stream: 'demo', maxViewers, maxKbps: 2000, events, onLeave: () => left++ })
  return { it, told, left: () => left }
}

test('both views count against the limit, and are counted separately', () => {
  const { it, told, left } = audience(2)
  const leaveOutput = it.admit('output')
  const leaveInput = it.admit('input')
  expect(() => it.admit('input')).toThrow('MAX_VIEWERS')
  expect([it.size, it.count('output'), it.count('input')]).toEqual([2, 1, 1])
  leaveInput()
  leaveInput()
  leaveOutput()
  expect(told).toEqual([
    [1, 0],
    [1, 1],
    [1, 0],
    [0, 0],
  ])
  expect(left()).toBe(2)
})

test('the networks of input viewers do not affect the bitrate of the output', async () => {
  const { it } = audience()
  it.admit('input', () => 100)
  it.admit('output', () => 1000)
  const stop = new AbortController()
  const kbps = await new Promise<number>((resolve) => {
    const set = async (value: number) => resolve(value)
    it.followBandwidth(set, stop.signal).catch(() => {})
  })
  stop.abort()
  expect(kbps).toBe(800)
})
