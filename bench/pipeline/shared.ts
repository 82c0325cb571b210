import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { nowMs } from '../../src/core/clock.ts'
import { frameBytes } from '../../src/core/media/frame.ts'
import { giveBack } from '../../src/core/media/frame-pool.ts'
import { type Catalog, discoverPipelines } from '../../src/pipeline/catalog/catalog.ts'
import { openPipelinePool, type PipelineLease } from '../../src/pipeline/supervision/pool/pool.ts'
import { LogCollector } from '../../test/helpers/server/logs.ts'
import { waitFor } from '../../test/helpers/wait.ts'
import type { Benchmark } from '../lib/benchmark.ts'
import { feedPaced, threadsCpuMs } from '../lib/media/paced.ts'
import { HD } from '../lib/media/sizes.ts'
import { inTurns } from '../lib/rounds.ts'
import { median, percentiles, ratios, spread } from '../lib/statistics.ts'

const PIPELINES = fileURLToPath(new URL('../lib/pipelines', import.meta.url))
const STREAMS = 4
const SETTLE_MS = 3000
const CONTENDERS = [
  { label: 'one process for four streams', pipeline: 'detects-together' },
  { label: 'a process for each stream', pipeline: 'detects-apart' },
] as const

type Sample = { fps: number; cpuMs: number; fairness: number; p50: number; memoryMb: number; processes: number }

/** Private memory. */
async function ownMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024
}

async function measure(pipeline: string, catalog: Catalog, modelDir: string, ms: number): Promise<Sample> {
  const { log } = new LogCollector()
  const pool = await openPipelinePool(
    { catalog, defaultPipeline: pipeline, defaultParams: {}, warm: 0, modelDir },
    { log },
  )
  try {
    const outputs = Array.from({ length: STREAMS }, () => 0)
    const delays: number[] = []
    const leases: PipelineLease[] = []
    let sentAt = new Map<number, number>()
    let counting = false
    for (let at = 0; at < STREAMS; at++) {
      const onFrame = ({ pts, data }: { pts: number; data: Uint8Array }) => {
        if (counting) {
          outputs[at]!++
          delays.push(nowMs() - (sentAt.get(pts) ?? Number.NaN))
        }
        giveBack(data)
      }
      const lease = await pool.lease({ pipeline, requestId: `bench ${at}`, onFrame }, { log })
      leases.push(lease)
      await waitFor('it to load', () => lease.status.phase === 'ready', { limitMs: 120_000, everyMs: 5 })
    }
    const { width, height } = HD
    const pixels = new Uint8Array(frameBytes('yuv420p', width, height)).fill(90)
    const offer = (pts: number) => {
      sentAt.set(pts, nowMs())
      for (const lease of leases) lease.offer({ data: pixels, format: 'yuv420p', width, height, pts })
    }
    const settled = await feedPaced(1, nowMs() + SETTLE_MS, offer)
    sentAt = new Map()
    counting = true
    const pids = [...new Set(leases.map(({ pid }) => pid!))]
    const cpu = async () => (await Promise.all(pids.map(threadsCpuMs))).reduce((sum, one) => sum + one, 0)
    const [began, cpuBefore] = [nowMs(), await cpu()]
    await feedPaced(settled + 1, nowMs() + ms, offer)
    counting = false
    const [seconds, cpuMs] = [(nowMs() - began) / 1000, (await cpu()) - cpuBefore]
    const memory = await Promise.all(pids.map(ownMb))
    await sleep(100)
    await Promise.all(leases.map((lease) => lease.close()))
    return {
      cpuMs: cpuMs / outputs.reduce((sum, count) => sum + count, 0),
      fps: outputs.reduce((sum, count) => sum + count, 0) / seconds,
      fairness: Math.min(...outputs) / Math.max(...outputs),
      p50: percentiles(delays.filter((delay) => !Number.isNaN(delay))).p50,
      memoryMb: memory.reduce((sum, mb) => sum + mb, 0),
      processes: pids.length,
    }
  } finally {
    await pool.close()
  }
}

export const shared: Benchmark = {
  name: 'shared',
  about: 'Four 720p30 streams on one ONNX model, in one process and in four',
  async run({ seconds = 8, repeat = 3, provider = 'cpu' }, say) {
    const catalog = await discoverPipelines({ appDir: PIPELINES })
    const samples = await inTurns(CONTENDERS, repeat, async ({ label, pipeline }, modelDir) => {
      const name = provider === 'cpu' ? pipeline : `${pipeline}-${provider}`
      const sample = await measure(name, catalog, modelDir, seconds * 1000)
      say(`${label}: ${sample.fps.toFixed(1)} fps in all, ${sample.memoryMb.toFixed(0)} MiB`)
      return sample
    })
    const of = (at: number, key: keyof Sample) => samples[at]!.all.map((sample) => sample[key])
    return {
      budgets: [
        {
          what: 'Four streams in one process: memory',
          limit: 0.6,
          value: median(ratios(of(0, 'memoryMb'), of(1, 'memoryMb'))),
          unit: '× four processes',
        },
        {
          what: 'Four streams in one process: processor time of a frame',
          limit: 1,
          value: median(ratios(of(0, 'cpuMs'), of(1, 'cpuMs'))),
          unit: '× four processes',
        },
        {
          what: 'Four streams in one process: frames a second',
          limit: 1,
          value: median(ratios(of(0, 'fps'), of(1, 'fps'))),
          unit: '× four processes',
          atLeast: true,
        },
        {
          what: 'Four streams in one process: frames of the best served against the worst',
          limit: 1.1,
          value: 1 / median(of(0, 'fairness')),
          unit: '×',
        },
      ],
      tables: [
        {
          title: 'Four streams of 720p30, a text-detection model at 320x192 on each frame',
          columns: [
            '',
            'processes',
            'CPU, ms a frame',
            'frames a second, in all',
            'worst served × best',
            'p50, ms',
            'memory, MiB',
          ],
          rows: samples.map(({ label, all }, at) => [
            label,
            all[0]?.processes ?? 0,
            spread(of(at, 'cpuMs'), 1),
            spread(of(at, 'fps'), 1),
            spread(of(at, 'fairness')),
            spread(of(at, 'p50'), 1),
            spread(of(at, 'memoryMb'), 0),
          ]),
          note: 'Contenders take turns; the one model has as many threads as there are cores, each of the four has one. Where others want the cores too, four processes get more of them than one: the processor time says what each does with it. Memory is what the processes do not share with others.',
        },
      ],
      plots: [],
      samples,
    }
  },
}
