import type { Benchmark, Budget, Options } from './lib/benchmark.ts'
import type { Entrant } from './lib/contenders/contender.ts'
import { type Cost, measureCost } from './lib/contenders/cost.ts'
import { benchFfmpeg, ffmpegPair, oneFfmpeg } from './lib/contenders/ffmpeg-contender.ts'
import { serverContender } from './lib/contenders/server-contender.ts'
import { type Size, sizesNamed } from './lib/media/sizes.ts'
import { clipUnits } from './lib/media/units.ts'
import { median, ratios, spread } from './lib/statistics.ts'

type Figure = keyof Pick<Cost, 'cpuMsPerFrame' | 'cpuMsPerFrameAtFullSpeed' | 'maxFps'>

const PAIR = 'ffmpeg \\| ffmpeg'
const NOOP = 'millrace noop'
const BUDGET = { size: '720p', ratio: 1.1 }

async function entrants(options: Options): Promise<Entrant[]> {
  const ffmpeg = await benchFfmpeg()
  const edges = { pipeline: 'effects', params: { effect: 'edges' } }
  return [
    { name: 'one ffmpeg', open: oneFfmpeg(ffmpeg) },
    { name: PAIR, open: ffmpegPair(ffmpeg) },
    { name: NOOP, open: serverContender({ pipeline: 'noop' }, options) },
    { name: 'millrace effects', open: serverContender(edges, options) },
  ]
}

type Result = { name: string; costs: Cost[] }

/** Contenders alternate within each round, so that changes of the machine's speed affect all. */
async function compare(all: Entrant[], size: Size, rounds: number, seconds: number, say: (line: string) => void) {
  const units = await clipUnits(size)
  const results: Result[] = all.map(({ name }) => ({ name, costs: [] }))
  for (let round = 0; round < rounds; round++) {
    for (const [i, { name, open }] of all.entries()) {
      const cost = await measureCost(open, units, seconds)
      results[i]!.costs.push(cost)
      say(`${size.name} ${name}: ${cost.cpuMsPerFrame.toFixed(2)} ms a frame, ${cost.maxFps.toFixed(0)} a second`)
    }
  }
  return results
}

export const transcode: Benchmark = {
  name: 'transcode',
  about: 'Processor time for each frame that is decoded, processed and encoded, and how many a second there can be',
  async run(options, say) {
    const { seconds = 8, repeat = 3, sizes = ['512x512', '720p', '1080p'] } = options
    const all = await entrants(options)
    const samples: { size: string; results: Result[] }[] = []
    for (const size of sizesNamed(sizes)) {
      samples.push({ size: size.name, results: await compare(all, size, repeat, seconds, say) })
    }
    const rows = samples.flatMap(({ size, results }) => {
      const pair = figures(results, PAIR, 'cpuMsPerFrame')
      const racing = figures(results, PAIR, 'cpuMsPerFrameAtFullSpeed')
      return results.map(({ name, costs }) => [
        size,
        name,
        spread(costs.map(({ cpuMsPerFrame }) => cpuMsPerFrame)),
        spread(ratios(figures(results, name, 'cpuMsPerFrame'), pair)),
        spread(figures(results, name, 'cpuMsPerFrameAtFullSpeed')),
        spread(ratios(figures(results, name, 'cpuMsPerFrameAtFullSpeed'), racing)),
        spread(
          costs.map(({ maxFps }) => maxFps),
          0,
        ),
        costs.reduce((sum, { lost }) => sum + lost, 0),
      ])
    })
    const shares = samples.flatMap(({ size, results }) =>
      results.flatMap(({ name, costs }) => {
        const parts = Object.keys(costs[0]?.parts ?? {})
        if (parts.length === 0) return []
        const row = (pace: string, of: (cost: Cost) => Record<string, number>) => [
          size,
          name,
          pace,
          ...PARTS.map((part) => median(costs.map((cost) => of(cost)[part] ?? Number.NaN))),
        ]
        return [row('30/s', (cost) => cost.parts), row('full speed', (cost) => cost.partsAtFullSpeed)]
      }),
    )
    const hd = samples.find(({ size }) => size === BUDGET.size)?.results
    const budgets: Budget[] = hd
      ? [
          {
            what: '720p30 noop: processor time a frame against ffmpeg | ffmpeg',
            limit: BUDGET.ratio,
            value: median(ratios(figures(hd, NOOP, 'cpuMsPerFrame'), figures(hd, PAIR, 'cpuMsPerFrame'))),
            unit: '×',
          },
          {
            what: 'the same at full speed',
            limit: BUDGET.ratio,
            value: median(
              ratios(figures(hd, NOOP, 'cpuMsPerFrameAtFullSpeed'), figures(hd, PAIR, 'cpuMsPerFrameAtFullSpeed')),
            ),
            unit: '×',
          },
        ]
      : []
    return {
      budgets,
      tables: [
        {
          title: 'Processor time a frame at 30 a second and at full speed, and frames a second then',
          columns: [
            'size',
            'what',
            'ms at 30/s',
            `× ${PAIR}`,
            'ms at full speed',
            `× ${PAIR}`,
            'most a second',
            'lost',
          ],
          rows,
          note: 'Median (lowest to highest) of the rounds. The time is that of the whole process tree. At full speed six frames are on their way at any time.',
        },
        { title: 'Where the time goes, in ms a frame', columns: ['size', 'what', 'pace', ...PARTS], rows: shares },
      ],
      plots: samples.map(({ size, results }) => ({
        kind: 'bars',
        name: size,
        title: `Processor time a frame, ${size}`,
        y: 'ms',
        bars: results.map(({ name, costs }) => {
          const values = costs.map(({ cpuMsPerFrame }) => cpuMsPerFrame)
          return {
            name: name.replaceAll('\\', ''),
            value: median(values),
            low: Math.min(...values),
            high: Math.max(...values),
          }
        }),
      })),
      samples,
    }
  },
}

const PARTS = ['server', 'decoder', 'pipeline', 'encoder']

function figures(results: Result[], name: string, figure: Figure): number[] {
  return results.find((result) => result.name === name)?.costs.map((cost) => cost[figure]) ?? []
}
