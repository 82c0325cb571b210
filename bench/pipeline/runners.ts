import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { nowMs } from '../../src/core/clock.ts'
import { frameBytes, type VideoFrame } from '../../src/core/media/frame.ts'
import { giveBack } from '../../src/core/media/frame-pool.ts'
import { type Catalog, discoverPipelines } from '../../src/pipeline/catalog/catalog.ts'
import { openPipelinePool } from '../../src/pipeline/supervision/pool/pool.ts'
import { LogCollector } from '../../test/helpers/server/logs.ts'
import { waitFor } from '../../test/helpers/wait.ts'
import type { Benchmark } from '../lib/benchmark.ts'
import { feedPaced, ptsOf, threadsCpuMs } from '../lib/media/paced.ts'
import { HD } from '../lib/media/sizes.ts'
import { median, percentiles, ratios, spread } from '../lib/statistics.ts'

const PIPELINES = fileURLToPath(new URL('../lib/pipelines', import.meta.url))
/** Start-up is not part of the cost per frame. */
const SETTLE_MS = 2000
const CONTENDERS = [
  { name: 'node-yuv420p', label: 'Node, yuv420p', format: 'yuv420p', beside: undefined },
  { name: 'python-yuv420p', label: 'Python, yuv420p, `.data`', format: 'yuv420p', beside: 'node-yuv420p' },
  { name: 'node-rgb24', label: 'Node, rgb24', format: 'rgb24', beside: undefined },
  { name: 'python-rgb24', label: 'Python, rgb24, `.data`', format: 'rgb24', beside: 'node-rgb24' },
  { name: 'python-tensor', label: 'Python, float32 tensor and its clone', format: 'rgb24', beside: 'node-rgb24' },
] as const

type Contender = (typeof CONTENDERS)[number]
type Sample = { cpuMs: number; p50: number; p99: number; loadMs: number; lost: number }

async function measure({ name, format }: Contender, catalog: Catalog, modelDir: string, ms: number): Promise<Sample> {
  const { log } = new LogCollector()
  const pool = await openPipelinePool({ catalog, defaultPipeline: name, defaultParams: {}, warm: 0, modelDir }, { log })
  try {
    const sentAt = new Map<number, number>()
    const delays: number[] = []
    let first = Number.POSITIVE_INFINITY
    const onFrame = ({ pts, data }: VideoFrame) => {
      if (pts >= first) delays.push(nowMs() - (sentAt.get(pts) ?? Number.NaN))
      giveBack(data)
    }
    const beganAt = nowMs()
    const size = { width: HD.width, height: HD.height }
    // The SDK's own params have the source's size; that of packages for ai-runner is not measured here.
    await using lease = await pool.lease({ pipeline: name, params: size, requestId: 'bench', onFrame }, { log })
    await waitFor(`${name} to load`, () => lease.status.phase === 'ready', { limitMs: 120_000, everyMs: 2 })
    const loadMs = nowMs() - beganAt
    const bytes = frameBytes(format, HD.width, HD.height)
    const pixels = [new Uint8Array(bytes).fill(90), new Uint8Array(bytes).fill(160)]
    let number = 0
    const offer = (pts: number) => {
      sentAt.set(pts, nowMs())
      lease.offer({ data: pixels[number++ % 2]!, format, ...size, pts })
    }
    const settled = await feedPaced(1, nowMs() + SETTLE_MS, offer)
    first = ptsOf(settled + 1)
    const cpuBefore = await threadsCpuMs(lease.pid!)
    const count = await feedPaced(settled + 1, nowMs() + ms, offer)
    const cpuMs = (await threadsCpuMs(lease.pid!)) - cpuBefore
    await sleep(200)
    const { p50, p99 } = percentiles(delays)
    return { cpuMs: cpuMs / count, p50, p99, loadMs, lost: count - delays.length }
  } finally {
    await pool.close()
  }
}

/** Pipelines of an environment and of this benchmark, found where Python finds them. */
function discover(python: string): Promise<Catalog> {
  process.env.PYTHONPATH = join(PIPELINES, 'python')
  return discoverPipelines({ appDir: PIPELINES, python })
}

export const runners: Benchmark = {
  name: 'runners',
  about:
    'What a 720p30 frame costs in a runner in Node and in Python (PYTHON has numpy and pydantic, TORCH_VENV torch too)',
  async run({ seconds = 5, repeat = 3 }, say) {
    const { PYTHON = process.env.VIRTUAL_ENV ?? 'python3', TORCH_VENV = PYTHON } = process.env
    const catalogs = { plain: await discover(PYTHON), torch: await discover(TORCH_VENV) }
    const modelDir = await mkdtemp(join(tmpdir(), 'mr-bench-models-'))
    const samples: Record<string, Sample[]> = Object.fromEntries(CONTENDERS.map(({ name }) => [name, []]))
    const left = new Map<string, string>()
    try {
      for (let round = 0; round < repeat; round++) {
        for (const contender of CONTENDERS.filter(({ name }) => !left.has(name))) {
          try {
            const sample = await measure(
              contender,
              catalogs[contender.name === 'python-tensor' ? 'torch' : 'plain'],
              modelDir,
              seconds * 1000,
            )
            if (Number.isNaN(sample.p50)) throw new Error('no frame came back')
            samples[contender.name]!.push(sample)
            say(`${contender.label}: ${sample.cpuMs.toFixed(2)} ms a frame, ${sample.p50.toFixed(2)} ms there and back`)
          } catch (thrown) {
            left.set(contender.name, (thrown as Error).message)
            say(`${contender.label}: left out, ${(thrown as Error).message}`)
          }
        }
      }
    } finally {
      await rm(modelDir, { recursive: true, force: true })
    }
    const of = (name: string | undefined, key: keyof Sample) => samples[name ?? '']?.map((one) => one[key]) ?? []
    const measured = CONTENDERS.filter(({ name }) => samples[name]!.length > 0)
    const python = measured.filter(({ beside }) => beside !== undefined && samples[beside]!.length > 0)
    return {
      budgets: python.flatMap(({ name, label, beside }) => {
        const later = median(of(name, 'p50')) - median(of(beside, 'p50'))
        const isTensor = name === 'python-tensor'
        const cost = isTensor
          ? { what: `${label}: a frame`, limit: 8, value: median(of(name, 'cpuMs')), unit: 'ms of CPU' }
          : {
              what: `${label}: a frame`,
              limit: 1,
              value: median(ratios(of(name, 'cpuMs'), of(beside, 'cpuMs'))),
              unit: '× Node',
            }
        if (isTensor) return [cost]
        return [
          cost,
          { what: `${label}: there and back, p50, beyond Node's`, limit: 0.5, value: later, unit: 'ms' },
          { what: `${label}: from lease to ready`, limit: 1500, value: median(of(name, 'loadMs')), unit: 'ms' },
        ]
      }),
      tables: [
        {
          title: 'A 720p frame at 30 a second, in the process of the pipeline',
          columns: [
            'runner',
            'CPU, ms a frame',
            '× Node',
            'there and back p50, ms',
            'p99, ms',
            'lease to ready, ms',
            'lost',
          ],
          rows: measured.map(({ name, label, beside }) => [
            label,
            spread(of(name, 'cpuMs')),
            beside ? median(ratios(of(name, 'cpuMs'), of(beside, 'cpuMs'))) : 1,
            spread(of(name, 'p50')),
            spread(of(name, 'p99')),
            spread(of(name, 'loadMs'), 0),
            of(name, 'lost').reduce((sum, one) => sum + one, 0),
          ]),
          note: `Contenders take turns. Each gives the frame back as it came.${left.size > 0 ? ` Left out: ${[...left].map(([name, why]) => `${name} (${why})`).join('; ')}.` : ''}`,
        },
      ],
      plots: [],
      samples,
    }
  },
}
