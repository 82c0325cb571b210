import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { nowMs } from '../../src/core/clock.ts'
import { frameBytes } from '../../src/core/media/frame.ts'
import { giveBack } from '../../src/core/media/frame-pool.ts'
import { type Catalog, discoverPipelines } from '../../src/pipeline/catalog/catalog.ts'
import { openPipelinePool } from '../../src/pipeline/supervision/pool/pool.ts'
import { LogCollector } from '../../test/helpers/server/logs.ts'
import { waitFor } from '../../test/helpers/wait.ts'
import type { Benchmark } from '../lib/benchmark.ts'
import { feedPaced, ptsOf, threadsCpuMs } from '../lib/media/paced.ts'
import { HD } from '../lib/media/sizes.ts'
import { inTurns } from '../lib/rounds.ts'
import { median, percentiles, spread } from '../lib/statistics.ts'

const PIPELINES = fileURLToPath(new URL('../lib/pipelines', import.meta.url))
const SETTLE_MS = 2000
const CONTENDERS = [
  { label: 'one noop', pipeline: 'node-yuv420p' },
  { label: 'two noops', pipeline: 'node-yuv420p,node-yuv420p' },
  { label: 'two noops, the second in rgb24', pipeline: 'node-yuv420p,node-rgb24' },
] as const
/** CPU time for the second of two noops. */
const LIMIT_MS = 0.8

type Sample = { cpuMs: number; serverMs: number; p50: number; p99: number; lost: number }

async function measure(pipeline: string, catalog: Catalog, modelDir: string, ms: number): Promise<Sample> {
  const { log } = new LogCollector()
  const pool = await openPipelinePool(
    { catalog, defaultPipeline: 'node-yuv420p', defaultParams: {}, warm: 0, modelDir },
    { log },
  )
  try {
    const sentAt = new Map<number, number>()
    const delays: number[] = []
    let first = Number.POSITIVE_INFINITY
    await using lease = await pool.lease(
      {
        pipeline,
        requestId: 'bench',
        onFrame: ({ pts, data }) => {
          if (pts >= first) delays.push(nowMs() - (sentAt.get(pts) ?? Number.NaN))
          giveBack(data)
        },
      },
      { log },
    )
    await waitFor('it to load', () => lease.status.phase === 'ready', { limitMs: 120_000, everyMs: 2 })
    const { width, height } = HD
    const pixels = new Uint8Array(frameBytes('yuv420p', width, height)).fill(90)
    const offer = (pts: number) => {
      sentAt.set(pts, nowMs())
      lease.offer({ data: pixels, format: 'yuv420p', width, height, pts })
    }
    const settled = await feedPaced(1, nowMs() + SETTLE_MS, offer)
    first = ptsOf(settled + 1)
    const pids = lease.stages.length > 0 ? lease.stages.map(({ lease: stage }) => stage.pid!) : [lease.pid!]
    const look = async () => {
      const runners = await Promise.all(pids.map(threadsCpuMs))
      return { server: await threadsCpuMs('self'), runners: runners.reduce((sum, cpu) => sum + cpu, 0) }
    }
    const before = await look()
    const count = await feedPaced(settled + 1, nowMs() + ms, offer)
    const after = await look()
    await sleep(200)
    const { p50, p99 } = percentiles(delays)
    const serverMs = (after.server - before.server) / count
    const cpuMs = serverMs + (after.runners - before.runners) / count
    return { cpuMs, serverMs, p50, p99, lost: count - delays.length }
  } finally {
    await pool.close()
  }
}

export const chain: Benchmark = {
  name: 'chain',
  about: 'What a second pipeline behind the first one costs a 720p30 frame, in all processes together',
  async run({ seconds = 5, repeat = 3 }, say) {
    const catalog = await discoverPipelines({ appDir: PIPELINES })
    const samples = await inTurns(CONTENDERS, repeat, async ({ label, pipeline }, modelDir) => {
      const sample = await measure(pipeline, catalog, modelDir, seconds * 1000)
      say(`${label}: ${sample.cpuMs.toFixed(2)} ms a frame, ${sample.p50.toFixed(2)} ms there and back`)
      return sample
    })
    const of = (at: number, key: keyof Sample) => samples[at]!.all.map((sample) => sample[key])
    const beyond = of(1, 'cpuMs').map((value, round) => value - of(0, 'cpuMs')[round]!)
    return {
      budgets: [{ what: 'Two noops: a frame, beyond one', limit: LIMIT_MS, value: median(beyond), unit: 'ms of CPU' }],
      tables: [
        {
          title: 'A 720p frame at 30 a second, in the server and in the processes of the pipelines',
          columns: ['chain', 'CPU, ms a frame', 'of it in the server', 'there and back p50, ms', 'p99, ms', 'lost'],
          rows: samples.map(({ label, all }, at) => [
            label,
            spread(of(at, 'cpuMs')),
            spread(of(at, 'serverMs')),
            spread(of(at, 'p50')),
            spread(of(at, 'p99')),
            all.reduce((sum, { lost }) => sum + lost, 0),
          ]),
          note: `Contenders take turns. The second noop costs ${spread(beyond)} ms beyond the first; in rgb24 a thread of the server converts each frame for it.`,
        },
      ],
      plots: [],
      samples,
    }
  },
}
