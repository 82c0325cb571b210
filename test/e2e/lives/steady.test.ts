import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { record } from '../../helpers/media/record.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

/** Run for longer with SOAK_MINUTES=10 vitest run test/e2e/lives/steady.test.ts */
const SECONDS = Number(process.env.SOAK_MINUTES ?? 0) * 60 || 24
const EVERY_MS = 1000

type Sample = { second: number; rssMiB: number; p50: number; p95: number }

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.[Symbol.asyncDispose]())

it(
  'delay and memory stay constant while viewers come and go',
  async () => {
    const clip = await stage.clip({ seconds: 60, width: 1280, height: 720, fps: 30 })
    await stage.publish('demo', clip, { loop: -1 })
    await stage.waitForStatus('demo', 'the pipeline', ({ inference }) => inference.fps > 20)
    const samples: Sample[] = []
    // The first seconds run before code is optimised.
    await sleep(5000)
    for (let second = 0; second < SECONDS; second++) {
      await using viewer = await record(`${stage.url}/out/demo.ts`)
      await sleep(EVERY_MS)
      viewer.stop()
      const { latencyMs } = await stage.status('demo')
      samples.push({ second, rssMiB: rssMiB(stage.server.pid), p50: latencyMs.total.p50, p95: latencyMs.total.p95 })
    }
    const last = await stage.status('demo')
    const half = samples.length >> 1
    const [before, after] = [samples.slice(0, half), samples.slice(half)]
    const report = {
      seconds: SECONDS,
      latencyMs: last.latencyMs,
      dropped: last.dropped,
      delaySlopeMsPerMinute: slope(samples, ({ p50 }) => p50),
      rssMiB: { first: samples[0]?.rssMiB, last: samples.at(-1)?.rssMiB },
      rssSlopeMiBPerMinute: slope(samples.slice(samples.length >> 2), ({ rssMiB }) => rssMiB),
    }
    if (process.env.SOAK_MINUTES) console.log(JSON.stringify(report, null, 2))
    // Loose bounds for any machine; exact figures come from the benchmarks.
    expect(median(after, ({ p50 }) => p50)).toBeLessThan(2 * median(before, ({ p50 }) => p50) + 20)
    expect(median(after, ({ p50 }) => p50)).toBeLessThan(100)
    expect(median(after, ({ rssMiB }) => rssMiB)).toBeLessThan(1.15 * median(before, ({ rssMiB }) => rssMiB))
    expect(last.egress.viewers).toBeLessThanOrEqual(1)
  },
  SECONDS * 1000 + 60_000,
)

function rssMiB(pid: number): number {
  const [, kib = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Math.round(Number(kib) / 102.4) / 10
}

function median<T>(items: T[], of: (item: T) => number): number {
  const sorted = items.map(of).sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}

/** Slope per minute by least squares. */
function slope(samples: Sample[], of: (sample: Sample) => number): number {
  const n = samples.length
  const [mx, my] = [
    samples.reduce((sum, { second }) => sum + second, 0) / n,
    samples.reduce((sum, s) => sum + of(s), 0) / n,
  ]
  const xy = samples.reduce((sum, s) => sum + (s.second - mx) * (of(s) - my), 0)
  const xx = samples.reduce((sum, s) => sum + (s.second - mx) ** 2, 0)
  const perSecond = (xy / xx) * (1000 / EVERY_MS)
  return Math.round(perSecond * 60 * 100) / 100
}
