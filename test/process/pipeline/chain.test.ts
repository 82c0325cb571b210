import { expect, test } from 'vitest'
import { everyFrameAccounted, inOrder, openTestPool, play, type Stage, testFrame, until } from './support/hosts.ts'

const kill = (stage: Stage, at: number) => process.kill(stage.lease.stages[at]!.lease.pid!, 'SIGKILL')
const pids = ({ lease }: Stage) => lease.stages.map(({ lease: stage }) => stage.pid)

test('frames pass through one pipeline after the other, each in its own process', async () => {
  // The second stage throws on an incomplete frame.
  await using stage = await play('noop, checksum,params-probe', { params: { 'params-probe': { value: 7 } } })
  await until('outputs', () => stage.source.outputs.length > 60)
  expect(stage.lease.pipeline).toBe('noop,checksum,params-probe')
  expect(new Set(pids(stage)).size).toBe(3)
  expect(inOrder(stage.source.shown)).toBe(true)
  expect(stage.source.outputs.map(({ value }) => value)).toEqual(stage.source.outputs.map(() => 7))
  expect(stage.told.errors).toEqual([])
  await until('the state', () => stage.lease.state === 'ONLINE')
  stage.source.stop()
  await everyFrameAccounted(stage.lease)
  const { frames, dropped, latencyMs } = stage.lease.stats()
  expect(frames.in).toBe(frames.out + dropped.beforePipeline + dropped.afterPipeline + dropped.failed)
  const each = stage.lease.stages.map(({ lease }) => lease.stats().latencyMs.p50)
  expect(latencyMs.p50).toBeGreaterThan(Math.max(...each))
})

test('a dead stage shows the overlay and is restarted, while the others keep their models', async () => {
  await using stage = await play('noop,effects', { params: { effects: { effect: 'none' } } })
  await until('outputs', () => stage.source.outputs.length > 20)
  const [first, second] = pids(stage)
  kill(stage, 1)
  await until('the overlay', () => stage.lease.status.phase === 'restarting')
  expect(stage.lease.status.text).toMatch(/^Restarting effects/)
  await until('overlay frames', () => stage.source.shown.at(-1)?.kind === 'overlay')
  const { length } = stage.source.outputs
  await until('outputs of the next runner', () => stage.source.outputs.length > length + 20)
  expect(pids(stage)[0]).toBe(first)
  expect(pids(stage)[1]).not.toBe(second)
  expect(stage.told.restarts).toMatchObject([{ count: 1, stage: 'effects' }])
  expect(stage.told.states).toContain('LOADING')
  const [noop, effects] = stage.lease.stages.map(({ lease }) => lease.stats())
  expect([noop!.restarts, effects!.restarts, stage.lease.stats().restarts]).toEqual([0, 1, 1])
  expect(inOrder(stage.source.shown)).toBe(true)
  kill(stage, 0)
  await until('the overlay', () => stage.lease.status.phase === 'restarting')
  const before = stage.source.outputs.length
  await until('outputs again', () => stage.source.outputs.length > before + 20)
  expect(inOrder(stage.source.shown)).toBe(true)
})

test('params are those of all stages, and an update that one stage refuses changes none', async () => {
  await using stage = await play('effects,params-probe,effects')
  await until('outputs', () => stage.source.outputs.length > 5)
  const { lease } = stage
  expect(Object.keys(lease.params.value)).toEqual(['effects', 'params-probe', 'effects-2'])
  const reply = await lease.updateParams('merge', { effects: { effect: 'invert' }, 'effects-2': { effect: 'edges' } })
  expect(reply).toMatchObject({ status: 'applied', ignored: [] })
  expect(reply.params).toMatchObject({ effects: { effect: 'invert' }, 'effects-2': { effect: 'edges' } })
  const { revision, value } = lease.params
  expect(revision).toBe(reply.revision)
  await expect(
    lease.updateParams('merge', { effects: { effect: 'tint' }, 'params-probe': { value: -1 } }),
  ).rejects.toMatchObject({ code: 'invalid-params', issues: [{ path: ['params-probe', 'value'] }] })
  await expect(lease.updateParams('merge', { 'params-probe': { value: 'x' } })).rejects.toMatchObject({
    issues: [{ path: ['params-probe', 'value'] }],
  })
  await expect(lease.updateParams('merge', { effect: 'tint' })).rejects.toMatchObject({
    code: 'invalid-params',
    message: expect.stringContaining('accepted: effects, params-probe, effects-2'),
  })
  expect(lease.params).toEqual({ revision, value })
  const { params, ignored } = await lease.updateParams('replace', { 'params-probe': { value: 3, other: 1 } })
  expect(ignored).toEqual(['/params-probe/other'])
  expect(params).toMatchObject({ effects: { effect: 'none' }, 'params-probe': { value: 3 } })
  await lease.updateParams('merge', { 'params-probe': null })
  expect(lease.params.value).toMatchObject({ 'params-probe': { value: 0 } })
})

test('frames are converted between stages that use different formats', async () => {
  await using world = await openTestPool()
  const forms: string[] = []
  const samples: { pts: number; planes: number[] }[] = []
  await using lease = await world.pool.lease(
    {
      // rgb accepts 96x64, and effects any resolution of yuv420p.
      pipeline: 'checksum,rgb,effects',
      requestId: 'the stream',
      onFrame: ({ format, width, height, data, pts }) => {
        forms.push(`${format} ${width}x${height}`)
        samples.push({ pts, planes: [data[0]!, data[width * height]!, data[data.length - 1]!] })
      },
      colourAt: () => ({ primaries: 1, transfer: 1, matrix: 1, fullRange: false }),
    },
    { log: world.log },
  )
  await until('the models', () => lease.status.phase === 'ready')
  for (let number = 100; samples.length < 10 && number < 200; number++) {
    lease.offer(testFrame(number, 'yuv420p', 128, 128))
    await until('it', () => lease.stats().frames.inside === 0)
  }
  expect(samples.length).toBeGreaterThanOrEqual(10)
  expect(new Set(forms)).toEqual(new Set(['yuv420p 96x64']))
  // All three planes have the value of the number, which RGB can represent, so it survives except for rounding.
  for (const { pts, planes } of samples)
    for (const sample of planes) expect(Math.abs(sample - pts / testFrame(1).pts)).toBeLessThanOrEqual(2)
})

test('an invalid chain is refused and leaves nothing behind', async () => {
  await using world = await openTestPool()
  const lease = (pipeline: string, params = {}) =>
    world.pool.lease({ pipeline, params, requestId: 'x', onFrame: () => {} }, { log: world.log })
  await expect(lease('noop,nope')).rejects.toMatchObject({ code: 'not-found' })
  await expect(lease('noop,,noop')).rejects.toMatchObject({ code: 'invalid-request' })
  await expect(lease(Array(9).fill('noop').join())).rejects.toMatchObject({ code: 'invalid-request' })
  await expect(lease('noop,effects', { effect: 'edges' })).rejects.toMatchObject({ code: 'invalid-params' })
  await expect(lease('noop,effects', { effects: { strength: 9 } })).rejects.toMatchObject({
    code: 'invalid-params',
    issues: [{ path: ['effects', 'strength'] }],
  })
  await expect(lease('noop,crash-on-import')).rejects.toMatchObject({
    code: 'pipeline-failed',
    details: { stage: 'crash-on-import' },
  })
})

test('a chain is described as one pipeline with the params of each stage under its name', async () => {
  await using world = await openTestPool()
  const { name, params, defaults } = await world.pool.describe('effects, noop')
  expect(name).toBe('effects,noop')
  expect(params).toMatchObject({ properties: { effects: { properties: { effect: {} } }, noop: { type: 'object' } } })
  expect(defaults).toMatchObject({ effects: { effect: 'none' }, noop: { show_reloading_frame: true } })
})

test('the default may be a chain: its stages are kept warm, each with its own params', async () => {
  await using stage = await play('noop,effects', {
    defaultPipeline: 'noop,effects',
    defaultParams: { effects: { effect: 'invert' } },
    warm: 1,
  })
  await until('outputs', () => stage.source.outputs.length > 5)
  expect(stage.lease.params.value).toMatchObject({ effects: { effect: 'invert' } })
  // Without the setting it is not the default.
  await using single = await stage.pool.lease(
    { pipeline: 'effects', requestId: 'other', onFrame: () => {} },
    { log: stage.log },
  )
  expect(single.params.value).toMatchObject({ effect: 'none' })
})
