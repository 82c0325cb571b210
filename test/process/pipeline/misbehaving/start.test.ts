import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nothingLeft } from '../../../helpers/nothing-left.ts'
import { WAIT_MS } from '../../../helpers/wait.ts'
import { listen, openTestPool, play, Source, until } from '../support/hosts.ts'
import { viewerIsServed } from '../support/served.ts'

let nothing: ReturnType<typeof nothingLeft>
beforeEach(() => {
  nothing = nothingLeft()
})
afterEach(() => nothing(WAIT_MS))

describe('a pipeline that fails before it runs', () => {
  test('is refused at opening when it cannot be imported', async () => {
    await using world = await openTestPool()
    for (const [pipeline, message] of [
      ['crash-on-import', 'this module cannot be loaded'],
      ['no-pipeline', 'it exports ThrowsEveryTenth'],
    ] as const) {
      const lease = world.pool.lease({ pipeline, requestId: 'r', onFrame: () => {} }, { log: world.log })
      await expect(lease).rejects.toMatchObject({ code: 'pipeline-failed', message: expect.stringContaining(message) })
      await expect(world.pool.describe(pipeline)).rejects.toMatchObject({ code: 'pipeline-failed' })
    }
  })

  test('a crash in load is retried three times at once, then at intervals, under the overlay', async () => {
    await using stage = await play('crash-on-load')
    await until('ERROR', () => stage.lease.state === 'ERROR')
    expect(stage.told.restarts.map(({ count }) => count)).toEqual([1, 2, 3])
    expect(stage.told.restarts[0]).toMatchObject({ reason: expect.stringContaining('the weights are broken') })
    expect(stage.told.restarts[0]!.logs).toContain('reading weights')
    expect(stage.told.states.filter((state) => state !== 'LOADING')).toEqual(['ERROR'])
    expect(stage.lease.status.phase).toBe('failed')
    expect(stage.lease.stats().lastError?.message).toContain('the weights are broken')
    await expect(stage.lease.updateParams('merge', {})).resolves.toMatchObject({ status: 'accepted' })
    await until('another try', () => stage.told.restarts.length === 4, 40_000)
    expect(stage.lease.state).toBe('ERROR')
    expect(stage.source.outputs).toEqual([])
    viewerIsServed(stage)
  })

  test('params set while it fails are used for the next attempt, and the stream continues', async () => {
    await using stage = await play('breaks-on-request', { params: { broken: true } })
    await until('ERROR', () => stage.lease.state === 'ERROR')
    const reply = await stage.lease.updateParams('merge', { broken: false })
    expect(reply).toMatchObject({ status: 'accepted', params: { broken: false } })
    await until('outputs', () => stage.source.outputs.length > 10, 60_000)
    expect(stage.lease.state).not.toBe('ERROR')
    expect(stage.lease.params.value).toMatchObject({ broken: false })
    expect(stage.told.restarts.length).toBeGreaterThanOrEqual(4)
    await expect(stage.lease.updateParams('merge', {})).resolves.toMatchObject({ status: 'applied' })
    viewerIsServed(stage)
  })

  test.each(['breaks-on-request', 'refuses-on-request'])(
    '%s: a failed start ends in ERROR on a warm runner too',
    async (pipeline) => {
      await using world = await openTestPool()
      const open = async (params: Record<string, unknown>) => {
        const source = new Source()
        const request = { pipeline, params, requestId: JSON.stringify(params), onFrame: source.onFrame }
        const lease = await world.pool.lease(request, { log: world.log })
        source.start(lease)
        return { source, lease, told: listen(lease) }
      }
      const first = await open({ broken: false })
      await until('outputs', () => first.source.outputs.length > 5)
      first.source.stop()
      const { pid } = first.lease
      await first.lease.close()
      const second = await open({ broken: true })
      expect(second.lease.pid).toBe(pid)
      await until('ERROR', () => second.lease.state === 'ERROR', 60_000)
      expect(second.lease.stats().lastError?.message).toContain('the weights are broken')
      expect(second.source.outputs).toEqual([])
      second.source.stop()
      await second.lease.close()
      const third = await open({ broken: false })
      await until('outputs of the next stream', () => third.source.outputs.length > 5)
      third.source.stop()
      await third.lease.close()
    },
  )

  test.each(['breaks-on-request', 'refuses-on-request'])(
    '%s: a publisher that joins with params that fail ends in ERROR, as a start does',
    async (pipeline) => {
      await using stage = await play(pipeline, { params: { broken: false } })
      await until('outputs', () => stage.source.outputs.length > 10)
      await stage.lease.join({ broken: true })
      await until('ERROR', () => stage.lease.state === 'ERROR', 60_000)
      expect(stage.lease.stats().lastError?.message).toContain('the weights are broken')
      expect(stage.lease.params.value).toMatchObject({ broken: true })
      expect(stage.told.params.filter(({ status, params }) => status === 'applied' && params.broken)).toEqual([])
      viewerIsServed(stage)
    },
  )

  test.each(['never-ready', 'hang-in-initialize'])('%s is restarted when its time to load is over', async (name) => {
    await using stage = await play(name, { thresholds: { loadMs: 500, settleMs: 300 } })
    await until('a restart', () => stage.told.restarts.length > 0)
    expect(stage.told.restarts[0]!.reason).toMatch(/did not load in time|was not ready/)
    await until('ERROR', () => stage.lease.state === 'ERROR')
    expect(stage.told.restarts).toHaveLength(3)
    viewerIsServed(stage)
  })
})
