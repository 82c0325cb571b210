import type { Benchmark } from './lib/benchmark.ts'
import { quantile } from './lib/statistics.ts'
import { type Plan, type Seen, simulate } from './simulation/world.ts'

const PLAN: Omit<Plan, 'dispatchers' | 'minutes'> = {
  seed: 20,
  ...{ servers: 1000, capacity: 12, streams: 10_000, stayMs: 15 * 60_000 },
  ...{ killEveryMs: 36_000, stopEveryMs: 72_000, stallEveryMs: 60_000, webhookLoss: 0.01 },
}

const NAMES = {
  placed: 'a new publisher',
  kill: 'a server is killed',
  stop: 'a server stops',
  stall: 'an encoder stops',
}

function timesOf(seen: Seen): [name: string, ms: number[]][] {
  return [
    [NAMES.placed, seen.placed],
    [NAMES.kill, seen.gaps.kill],
    [NAMES.stop, seen.gaps.stop],
    [NAMES.stall, seen.gaps.stall],
    ['a server is told to end, until it has left', seen.drains],
  ]
}

export const dispatch: Benchmark = {
  name: 'dispatch',
  about: 'A simulation: the dispatcher’s own code with 1,000 simulated servers and 10,000 streams',
  async run({ minutes = 20 }, say) {
    const runs: { dispatchers: number; seen: Seen; wallSeconds: number }[] = []
    for (const dispatchers of [1, 2]) {
      const began = performance.now()
      const seen = await simulate({ ...PLAN, dispatchers, minutes }, (line) =>
        say(`${dispatchers} dispatcher(s), ${line}`),
      )
      runs.push({ dispatchers, seen, wallSeconds: (performance.now() - began) / 1000 })
    }
    const both = runs.map(({ seen }) => seen)
    const most = (of: (seen: Seen) => number) => Math.max(...both.map(of))
    const p = (part: number, ms: number[]) => (ms.length > 0 ? quantile(ms, part / 100) / 1000 : 0)
    return {
      budgets: [
        {
          what: 'rooms without a processed track at the end',
          limit: 0,
          value: most((seen) => seen.forgotten),
          unit: 'rooms',
        },
        {
          what: 'streams whose room is gone, at the end',
          limit: 0,
          value: most((seen) => seen.orphans),
          unit: 'streams',
        },
        {
          what: 'streams placed twice, one dispatcher',
          ...{ limit: 0, value: both[0]!.twice.length, unit: 'streams' },
        },
        {
          what: 'longest time that a room had two, two dispatchers',
          ...{ limit: 5, value: Math.max(0, ...both[1]!.twice) / 1000, unit: 's' },
        },
        { what: 'time to place, p99', limit: 3, value: most((seen) => p(99, seen.placed)), unit: 's' },
        { what: 'gap after a kill, p99', limit: 3, value: most((seen) => p(99, seen.gaps.kill)), unit: 's' },
        {
          what: 'a server leaves after it was told to, p99',
          limit: 10,
          value: most((seen) => p(99, seen.drains)),
          unit: 's',
        },
        {
          what: 'requests to servers for a placement, one dispatcher',
          ...{ limit: 1.1, value: both[0]!.requests / both[0]!.placements, unit: '' },
        },
      ],
      tables: [
        {
          title: 'From what happens to the processed track in the room, in seconds',
          columns: ['dispatchers', 'what happens', 'times', 'p50', 'p99', 'longest'],
          rows: runs.flatMap(({ dispatchers, seen }) =>
            timesOf(seen).map(([name, ms]) => [dispatchers, name, ms.length, p(50, ms), p(99, ms), p(100, ms)]),
          ),
          note:
            'A simulated server needs 0.6 to 1.5 s for the first packet of a subscription and 0.25 to 0.5 s to publish, as LiveKit 1.13.5 did; what the dispatcher adds is the rest. ' +
            'A server that is killed refuses connections at once; one that stops is noticed by its silence.',
        },
        {
          title: `What happened in ${minutes} minutes`,
          columns: [
            ...[
              'dispatchers',
              'rooms',
              'killed',
              'stopped',
              'encoders',
              'drained',
              'not handed over in 25 s',
              'placements',
            ],
            ...[
              'requests a placement',
              'placed twice',
              'had two for at most, s',
              'forgotten',
              'requests to LiveKit a room',
              'simulated in, s',
            ],
          ],
          rows: runs.map(({ dispatchers, seen, wallSeconds }) => [
            ...[
              dispatchers,
              seen.counts.rooms,
              seen.counts.kills,
              seen.counts.stops,
              seen.counts.stalls,
              seen.counts.drains,
            ],
            ...[seen.drainedInVain, seen.placements, seen.requests / seen.placements, seen.twice.length],
            ...[
              Math.max(0, ...seen.twice) / 1000,
              seen.forgotten,
              seen.livekitRequests / seen.counts.rooms,
              wallSeconds,
            ],
          ]),
          note:
            'One in twenty servers is killed in the same moment, all are renewed a tenth at a time, a dispatcher is killed and another begins five seconds later, and one webhook in a hundred is lost. ' +
            'Two dispatchers hear of the same rooms and do not know of each other: a stream that both have placed ends on one of the servers when the other one publishes.',
        },
      ],
      plots: [
        {
          kind: 'lines',
          name: 'times',
          title: 'From what happens to the processed track, one dispatcher',
          x: 'part of the cases, percent',
          y: 's',
          series: timesOf(both[0]!).map(([name, ms]) => ({
            name,
            points: Array.from({ length: 101 }, (_, part) => [part, p(part, ms)] as [number, number]),
          })),
        },
        {
          kind: 'lines',
          name: 'course',
          title: 'Rooms, processed tracks and places, one dispatcher',
          x: 'minutes',
          y: '',
          series: (['rooms', 'processed tracks', 'places of all servers'] as const).map((name, i) => ({
            name,
            points: both[0]!.course
              .filter((_, at) => at % 5 === 0)
              .map((row) => [row[0] / 60_000, row[i + 1]!] as [number, number]),
          })),
        },
      ],
      samples: runs.map(({ dispatchers, seen: { course: _, ...seen } }) => ({
        dispatchers,
        ...seen.counts,
        seconds: Object.fromEntries(
          timesOf(seen as Seen).map(([name, ms]) => [name, [50, 90, 99, 100].map((part) => p(part, ms))]),
        ),
      })),
    }
  },
}
