import { describe, expect, it } from 'vitest'
import { simulate } from '../../../bench/simulation/world.ts'
import { inOrder, seedOf } from '../../../src/dispatch/servers/order.ts'

/** Some minutes of thirty simulated servers and the real dispatcher code; seeded, so each run is the same. */
const PLAN = {
  ...{ seed: 7, servers: 30, capacity: 12, streams: 150, minutes: 4, stayMs: 240_000 },
  ...{ killEveryMs: 20_000, stopEveryMs: 30_000, stallEveryMs: 30_000, webhookLoss: 0.02 },
}

describe('the dispatcher, with simulated servers', () => {
  it.each([1, 2])(
    '%i of them: no room is forgotten, none is processed twice for good',
    async (dispatchers) => {
      const seen = await simulate({ ...PLAN, dispatchers }, () => {})
      expect(seen.counts.kills).toBeGreaterThan(5)
      expect(seen.counts.stops).toBeGreaterThan(2)
      expect(seen.drains.length).toBeGreaterThan(5)
      expect(seen.placed.length).toBeGreaterThan(200)
      expect([seen.forgotten, seen.orphans]).toEqual([0, 0])
      if (dispatchers === 1) expect(seen.twice).toEqual([])
      expect(Math.max(0, ...seen.twice)).toBeLessThan(6000)
      // A killed server refuses connections; a stopped one times out after 1.2 s first. A start takes up to two
      // seconds.
      expect(median(seen.gaps.kill)).toBeLessThan(2500)
      expect(median(seen.gaps.stop)).toBeLessThan(3500)
      expect(median(seen.drains)).toBeLessThan(8000)
      // The second dispatcher learns that the first has placed it.
      expect(seen.requests / seen.placements).toBeLessThan(1.3 * dispatchers)
    },
    60_000,
  )
})

it('rooms are balanced over all servers, and few move when a server joins', () => {
  const servers = Array.from({ length: 50 }, (_, n) => `http://10.0.0.${n}:8000`)
  const rooms = Array.from({ length: 5000 }, (_, n) => `room${n}`)
  const first = (of: string[]) => {
    const ranked = of.map((name) => ({ name, seed: seedOf(name) }))
    return rooms.map((room) => inOrder(room, ranked).next().value as string)
  }
  const load = Map.groupBy(first(servers), (server) => server)
  expect(load.size).toBe(50)
  expect(Math.max(...[...load.values()].map(({ length }) => length))).toBeLessThan(160)
  const after = first([...servers, 'http://10.0.1.1:8000'])
  const moved = first(servers).filter((server, i) => after[i] !== server)
  expect(moved.length).toBeLessThan(200)
  expect(first(servers.toReversed())).toEqual(first(servers))
})

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
