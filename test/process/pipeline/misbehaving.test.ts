import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nothingLeft } from '../../helpers/nothing-left.ts'
import { alive, inOrder, listen, openTestPool, pause, play, Source, type Stage, until } from './support.ts'

let nothing: ReturnType<typeof nothingLeft>
beforeEach(() => {
  nothing = nothingLeft()
})
afterEach(() => nothing())

/** What is asked of every stream, whatever its pipeline does. */
function viewerIsServed({ source }: Stage): void {
  expect(inOrder(source.shown)).toBe(true)
  expect(source.longestGap()).toBeLessThan(1000)
}

describe('a pipeline that fails before it runs', () => {
  test('one that cannot be imported is refused at the door', async () => {
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

  test('a crash on load is tried three more times at once, then now and then, under the overlay', async () => {
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

  test('params given while it fails are used for the next try, and the stream goes on', async () => {
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
    '%s: a start that fails ends in ERROR on a warm runner too',
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

  test.each(['never-ready', 'hang-in-initialize'])('%s is started again after the time to load', async (name) => {
    await using stage = await play(name, { thresholds: { loadMs: 500, settleMs: 300 } })
    await until('a restart', () => stage.told.restarts.length > 0)
    expect(stage.told.restarts[0]!.reason).toMatch(/did not load in time|was not ready/)
    await until('ERROR', () => stage.lease.state === 'ERROR')
    expect(stage.told.restarts).toHaveLength(3)
    viewerIsServed(stage)
  })
})

describe('a pipeline that fails on frames', () => {
  test.each([
    ['exits-zero', 'exited with code 0'],
    ['aborts', 'SIGABRT'],
    ['uncaught', 'thrown out of nowhere'],
    ['writes-to-control', 'NaN'],
    ['endless-control-line', 'a control message of more than'],
  ])('%s: the overlay shows, and it goes on in less than two seconds', async (name, reason) => {
    await using stage = await play(name)
    await until('a restart', () => stage.told.restarts.length === 1)
    const at = performance.now()
    const before = stage.source.outputs.length
    expect(before).toBeGreaterThan(20)
    await until('outputs again', () => stage.source.outputs.length > before + 30)
    expect(stage.source.outputs[before]!.at - at).toBeLessThan(2000)
    expect(stage.told.restarts[0]!.reason).toContain(reason)
    expect(stage.source.shown.some(({ kind, at: shownAt }) => kind === 'overlay' && shownAt > at)).toBe(true)
    expect(stage.told.phases).toContain('restarting')
    expect(stage.told.phases.at(-1)).toBe('ready')
    if (name === 'uncaught')
      expect(stage.told.errors.map((error) => error.during)).toContain('a promise nobody waits for')
    viewerIsServed(stage)
    stage.source.stop()
    await until('nothing inside', () => stage.lease.stats().frames.inside === 0)
    const { frames, dropped } = stage.lease.stats()
    expect(frames.out + dropped.beforePipeline + dropped.afterPipeline + dropped.failed).toBe(frames.in)
  })

  test.each(['hang-on-frame', 'silent-on-frame'])(
    '%s: overlay within a second, a new runner after five',
    async (name) => {
      await using stage = await play(name)
      await until('outputs', () => stage.source.outputs.length >= 100)
      await until('stalled', () => stage.lease.status.phase === 'stalled', 5000)
      const hungAt = stage.source.outputs.at(-1)!.at
      expect(performance.now() - hungAt).toBeLessThan(1000)
      await until('a restart', () => stage.told.restarts.length === 1, 15_000)
      expect(performance.now() - hungAt).toBeGreaterThan(5000)
      expect(performance.now() - hungAt).toBeLessThan(6500)
      const before = stage.source.outputs.length
      await until('outputs again', () => stage.source.outputs.length > before + 10)
      expect(stage.told.restarts[0]!.reason).toContain('no output')
      viewerIsServed(stage)
    },
  )

  test('throws on every tenth frame: only those are lost, and it is told once a second', async () => {
    await using stage = await play('throws-every-tenth')
    await until('100 frames', () => stage.source.outputs.length >= 90)
    stage.source.stop()
    await until('nothing inside', () => stage.lease.stats().frames.inside === 0)
    const { frames, dropped } = stage.lease.stats()
    expect(dropped.failed).toBe(Math.floor((frames.in - dropped.beforePipeline) / 10))
    expect(frames.out).toBe(frames.in - dropped.failed - dropped.beforePipeline)
    expect(dropped.afterPipeline).toBe(0)
    await pause(1100)
    expect(stage.told.errors.reduce((sum, { count }) => sum + count, 0)).toBe(dropped.failed)
    expect(stage.told.errors.length).toBeLessThan(8)
    expect(stage.told.errors[0]).toMatchObject({ during: 'putVideoFrame', message: expect.stringContaining('tenth') })
    expect(stage.told.states).toContain('DEGRADED_INFERENCE')
    expect(stage.told.restarts).toEqual([])
    viewerIsServed(stage)
  })

  test.each([
    ['wrong-size', 'has 100 bytes'],
    ['foreign-request', 'somebody else'],
  ])('%s: those outputs never reach the viewer', async (name, message) => {
    await using stage = await play(name)
    await until('40 outputs', () => stage.source.outputs.length >= 40)
    stage.source.stop()
    await until('nothing inside', () => stage.lease.stats().frames.inside === 0)
    expect(stage.told.errors[0]!.message).toContain(message)
    const { frames, dropped } = stage.lease.stats()
    const bad = name === 'wrong-size' ? dropped.failed : dropped.afterPipeline
    expect(bad).toBe(Math.floor((frames.in - dropped.beforePipeline) / 2))
    expect(frames.out + dropped.beforePipeline + dropped.afterPipeline + dropped.failed).toBe(frames.in)
    expect(stage.told.restarts).toEqual([])
    viewerIsServed(stage)
  })

  test('changes-shape: outputs of every resolution reach the viewer', async () => {
    await using stage = await play('changes-shape')
    await until('40 outputs', () => stage.source.outputs.length >= 40)
    stage.source.stop()
    await until('nothing inside', () => stage.lease.stats().frames.inside === 0)
    expect(stage.told.errors).toEqual([])
    const { frames, dropped } = stage.lease.stats()
    expect(frames.out).toBe(frames.in - dropped.beforePipeline)
    viewerIsServed(stage)
  })

  test('outputs larger than a slot of the ring are refused one by one, and those after them pass', async () => {
    await using stage = await play('oversized')
    await until('outputs after the large ones', () => stage.source.outputs.length >= 20)
    expect(stage.told.errors[0]).toMatchObject({
      during: 'getProcessedVideoFrame',
      message: expect.stringMatching(/gray frame of 8192x8192 has \d+ bytes; accepted are at most/),
    })
    stage.source.stop()
    await until('nothing inside', () => stage.lease.stats().frames.inside === 0)
    const { frames, dropped } = stage.lease.stats()
    expect(frames.out + dropped.beforePipeline + dropped.afterPipeline + dropped.failed).toBe(frames.in)
    expect(stage.told.restarts).toEqual([])
  })

  test('outputs without end do not block the runner, nor the server', async () => {
    await using stage = await play('endless-outputs')
    await until('outputs', () => stage.source.outputs.length >= 20)
    await expect(stage.lease.updateParams('merge', {})).resolves.toMatchObject({ status: 'applied' })
    viewerIsServed(stage)
  })
})

describe('a pipeline that takes too much', () => {
  test('100 MB of print cost the stream nothing', async () => {
    await using stage = await play('prints-much')
    await until('100 frames', () => stage.source.outputs.length >= 90, 40_000)
    await pause(1100)
    expect(stage.told.lines.length).toBeLessThan(1500)
    expect(stage.told.lines.some((line) => /more bytes of output left out/.test(line))).toBe(true)
    expect(stage.told.restarts).toEqual([])
    viewerIsServed(stage)
  })

  test('memory without end: it is ended at its limit, and started again', async () => {
    await using stage = await play('allocates', { memoryLimit: 400 * 2 ** 20 })
    await until('a restart', () => stage.told.restarts.length === 1)
    expect(stage.told.restarts[0]!.reason).toMatch(/used \d+ MiB of memory, more than 400/)
    const before = stage.source.outputs.length
    await until('outputs again', () => stage.source.outputs.length > before + 10)
    viewerIsServed(stage)
  })
})

describe('a pipeline that does not go', () => {
  test('one that ignores SIGTERM is killed', async () => {
    const stage = await play('ignores-sigterm')
    await until('outputs', () => stage.source.outputs.length > 5)
    const pid = stage.lease.pid!
    const at = performance.now()
    await stage[Symbol.asyncDispose]()
    expect(performance.now() - at).toBeLessThan(15_000)
    expect(alive(pid)).toBe(false)
  })

  test('what it started ends with it, in its process group or out of it', async () => {
    const stage = await play('leaves-grandchild')
    await until('its word', () => stage.told.lines.length > 0 || stage.source.outputs.length > 5)
    const line = stage.logs.lines.map((one) => String(one.line)).find((text) => text.startsWith('grandchildren'))
    const pids = line!.split(' ').slice(1).map(Number)
    expect(pids.map(alive)).toEqual([true, true])
    process.kill(stage.lease.pid!, 'SIGKILL')
    await until('both gone', () => !pids.some(alive), 3000)
    await stage[Symbol.asyncDispose]()
  })
})

describe('a reload', () => {
  test('shows the overlay, and then the new model', async () => {
    await using stage = await play('reload-fails')
    await until('outputs', () => stage.source.outputs.length > 10)
    const reply = await stage.lease.updateParams('merge', { model: 'other' })
    expect(reply).toMatchObject({ status: 'accepted', params: { model: 'other' } })
    await until('new model', () => stage.source.outputs.at(-1)!.value === 2)
    const from = stage.source.shown.findIndex(({ kind }, at) => at > 10 && kind === 'overlay')
    const to = stage.source.shown.findIndex(({ value }) => value === 2)
    const during = stage.source.shown.slice(from, to)
    expect(during.length).toBeGreaterThan(10)
    expect(new Set(during.map(({ kind }) => kind))).toEqual(new Set(['overlay']))
    expect(stage.told.phases).toEqual(expect.arrayContaining(['ready', 'reloading']))
    expect(stage.lease.params).toMatchObject({ revision: 2, value: { model: 'other' } })
    viewerIsServed(stage)
  })

  test('that fails starts the runner again with the last good params', async () => {
    await using stage = await play('reload-fails')
    await until('outputs', () => stage.source.outputs.length > 10)
    await stage.lease.updateParams('merge', { model: 'other' })
    await until('new model', () => stage.source.outputs.at(-1)!.value === 2)
    await stage.lease.updateParams('merge', { model: 'broken' })
    await until('a restart', () => stage.told.restarts.length === 1)
    expect(stage.told.restarts[0]!.reason).toContain('the model is broken')
    const before = stage.source.outputs.length
    await until('outputs again', () => stage.source.outputs.length > before + 5)
    expect(stage.source.outputs.at(-1)!.value).toBe(2)
    expect(stage.lease.params.value).toMatchObject({ model: 'other' })
    viewerIsServed(stage)
  })

  test('an update that is refused leaves everything as it was', async () => {
    await using stage = await play('reload-fails')
    await until('outputs', () => stage.source.outputs.length > 10)
    const refused = stage.lease.updateParams('merge', { model: 'refused' })
    await expect(refused).rejects.toMatchObject({ code: 'pipeline-failed', message: expect.stringContaining('fit') })
    expect(stage.lease.params).toMatchObject({ revision: 1, value: { model: 'good' } })
    expect(stage.told.params.at(-1)).toMatchObject({ status: 'rejected', revision: 1, params: { model: 'good' } })
    expect(stage.told.restarts).toEqual([])
    viewerIsServed(stage)
  })
})
