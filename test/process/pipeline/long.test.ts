import { afterAll, expect, test } from 'vitest'
import { everyFrameAccounted, inOrder, openTestPool, pause, play, runnersLeft, Source, until } from './support/hosts.ts'

// These tests mostly wait, so they run concurrently.

/** Long enough to tell a delay growing by 30 ms per minute from the noise of single frames. */
const SECONDS = 60

afterAll(() => expect(runnersLeft()).toEqual([]))

test.concurrent('a stopped runner: overlay within 1.5 s, a new runner soon after', {
  timeout: 120_000,
}, async () => {
  await using stage = await play('noop')
  await until('outputs', () => stage.source.outputs.length > 120)
  const pid = stage.lease.pid!
  const stoppedAt = performance.now()
  process.kill(pid, 'SIGSTOP')
  await until('overlay', () => stage.source.shown.at(-1)!.kind === 'overlay', 1500)
  await until('a restart', () => stage.told.restarts.length === 1, 5000)
  expect(stage.told.restarts[0]!.reason).toContain('its process is stopped')
  const before = stage.source.outputs.length
  await until('outputs again', () => stage.source.outputs.length > before + 10, 5000)
  await pause(Math.max(0, stoppedAt + 20_000 - performance.now()))
  // The stopped process was killed, so it cannot resume.
  expect(() => process.kill(pid, 'SIGCONT')).toThrow('ESRCH')
  expect(stage.told.states).toEqual(expect.arrayContaining(['ONLINE', 'DEGRADED_INFERENCE', 'LOADING']))
  expect(stage.source.longestGap()).toBeLessThan(1000)
  expect(inOrder(stage.source.shown)).toBe(true)
})

test.concurrent('a runner stopped for less than a second continues with the current frames', {
  timeout: 60_000,
}, async () => {
  await using stage = await play('noop')
  await until('outputs', () => stage.source.outputs.length > 120)
  process.kill(stage.lease.pid!, 'SIGSTOP')
  // Longer than frames wait, shorter than the time to detect a hang.
  await pause(900)
  process.kill(stage.lease.pid!, 'SIGCONT')
  await until('ready', () => stage.lease.status.phase === 'ready', 1000)
  const before = stage.source.outputs.length
  await until('outputs again', () => stage.source.outputs.length > before + 30)
  expect(stage.told.restarts).toEqual([])
  expect(stage.source.longestGap()).toBeLessThan(1000)
  expect(inOrder(stage.source.shown)).toBe(true)
  stage.source.stop()
  await everyFrameAccounted(stage.lease)
})

test.concurrent.each([false, true])(
  'five of thirty frames per second, blocking %s: the newest frames, no growing delay, every loss counted',
  { timeout: 120_000 },
  async (blocking) => {
    await using stage = await play('slow', { params: { blocking } })
    await until('outputs', () => stage.source.outputs.length > 5)
    await pause(SECONDS * 1000)
    stage.source.stop()
    await everyFrameAccounted(stage.lease)
    await pause(100)
    const { frames, dropped, latencyMs } = stage.lease.stats()
    expect(frames.out + dropped.beforePipeline + dropped.afterPipeline + dropped.failed).toBe(frames.in)
    expect(dropped).toMatchObject({ afterPipeline: 0, failed: 0 })
    expect(frames.out).toBe(stage.source.outputs.length)
    expect(frames.out).toBeGreaterThan(4 * SECONDS)
    // A frame waits at most for the next one to arrive, and for its own processing.
    expect(latencyMs.p95).toBeLessThan(350)
    const delays = stage.source.outputs.map(({ at, pts }) => ({ at, delay: at - pts / 90 }))
    expect(Math.abs(slope(delays.slice(10)))).toBeLessThan(0.0005)
    expect(stage.told.states).toContain('DEGRADED_INFERENCE')
    expect(stage.told.phases).not.toContain('stalled')
    expect(inOrder(stage.source.outputs)).toBe(true)
  },
)

test.concurrent('a model that takes eight seconds is loaded once: the second stream starts at once', {
  timeout: 60_000,
}, async () => {
  await using world = await openTestPool({ defaultPipeline: 'slow-to-load', warm: 1 })
  const lease = (requestId: string, source: Source) =>
    world.pool.lease({ requestId, onFrame: source.onFrame }, { log: world.log })
  const first = new Source()
  const one = await lease('one', first)
  first.start(one)
  await until('ready', () => first.outputs.length > 10)
  expect(first.shown.filter(({ kind }) => kind === 'overlay').length).toBeGreaterThan(100)
  await one.updateParams('merge', { level: 99 })
  await until('its params', () => first.outputs.at(-1)!.value === 99)
  first.stop()
  await one.close()
  const second = new Source()
  const startedAt = performance.now()
  const two = await lease('two', second)
  second.start(two)
  await until('its first output', () => second.outputs.length > 0, 500)
  expect(performance.now() - startedAt).toBeLessThan(500)
  expect(second.outputs[0]!.value).toBe(7)
  second.stop()
  await two.close()
})

/** Milliseconds of delay per millisecond, by Theil and Sen: a busy moment does not move the median of all slopes. */
function slope(points: readonly { at: number; delay: number }[]): number {
  const slopes = points.flatMap((a, i) => points.slice(i + 1).map((b) => (b.delay - a.delay) / (b.at - a.at)))
  return slopes.sort((a, b) => a - b)[slopes.length >> 1] ?? 0
}
