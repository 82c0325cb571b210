import { expect, test } from 'vitest'
import { openTestPool, Source, testFrame, until } from './support/hosts.ts'

test('noop returns every frame, in order and unchanged', async () => {
  await using world = await openTestPool()
  const source = new Source()
  const lease = await world.pool.lease({ requestId: 'r1', onFrame: source.onFrame }, { log: world.log })
  await until('ready', () => lease.status.phase === 'ready')
  source.start(lease)
  await until('60 outputs', () => source.outputs.length >= 60)
  source.stop()
  await until('all out', () => lease.stats().frames.inside === 0 && source.outputs.length === source.offered)
  for (const { pts, value } of source.outputs) expect(value).toBe(testFrame(pts / 3000).data[0])
  expect(lease.state).toBe('ONLINE')
  const { frames, dropped, fps, inputFps, latencyMs } = lease.stats()
  expect(frames).toEqual({ in: source.offered, out: source.offered, inside: 0 })
  expect(dropped).toEqual({ beforePipeline: 0, afterPipeline: 0, failed: 0 })
  expect(fps).toBeGreaterThan(15)
  expect(inputFps).toBeGreaterThan(15)
  expect(latencyMs.p50).toBeLessThan(20)
  await lease.close()
})

test('a killed runner is replaced and the lease continues', async () => {
  await using world = await openTestPool()
  const source = new Source()
  const lease = await world.pool.lease({ requestId: 'r1', onFrame: source.onFrame }, { log: world.log })
  source.start(lease)
  await until('outputs', () => source.outputs.length > 10)
  const before = source.outputs.length
  const pid = lease.pid!
  const restarts: unknown[] = []
  lease.events.on('restart', (restart) => restarts.push(restart))
  const at = performance.now()
  process.kill(pid, 'SIGKILL')
  await until('restarting', () => lease.status.phase === 'restarting', 1000)
  await until('outputs again', () => source.outputs.length > before + 5)
  expect(performance.now() - at).toBeLessThan(2000)
  expect(restarts).toHaveLength(1)
  expect(lease.pid).not.toBe(pid)
  expect(source.longestGap()).toBeLessThan(1000)
  source.stop()
  await lease.close()
})

test('an invalid request is refused at opening', async () => {
  await using world = await openTestPool()
  const { log } = world
  const onFrame = () => {}
  await expect(world.pool.lease({ pipeline: 'nope', requestId: 'r', onFrame }, { log })).rejects.toMatchObject({
    code: 'not-found',
    message: expect.stringContaining('noop'),
  })
  const params = { width: 65, height: 64 }
  await expect(world.pool.lease({ params, requestId: 'r', onFrame }, { log })).rejects.toMatchObject({
    code: 'invalid-params',
    issues: [{ path: ['width'] }],
  })
})

test('describe returns the schema', async () => {
  await using world = await openTestPool()
  const noop = await world.pool.describe('noop')
  expect(noop).toMatchObject({ name: 'noop', defaults: { show_reloading_frame: true } })
  expect(noop.params).toMatchObject({ type: 'object', properties: { width: { minimum: 64, maximum: 3840 } } })
})
