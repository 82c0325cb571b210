import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nothingLeft } from '../../../helpers/nothing-left.ts'
import { WAIT_MS } from '../../../helpers/wait.ts'
import { everyFrameAccounted, pause, play, until } from '../support/hosts.ts'
import { viewerIsServed } from '../support/served.ts'

let nothing: ReturnType<typeof nothingLeft>
beforeEach(() => {
  nothing = nothingLeft()
})
afterEach(() => nothing(WAIT_MS))

describe('a pipeline that fails on frames', () => {
  test.each([
    ['exits-zero', 'exited with code 0'],
    ['aborts', 'SIGABRT'],
    ['uncaught', 'thrown out of nowhere'],
    ['writes-to-control', 'NaN'],
    ['endless-control-line', 'a control message of more than'],
  ])('%s: the overlay shows, and the pipeline continues at once', async (name, reason) => {
    const startedAt = performance.now()
    await using stage = await play(name)
    await until('a restart', () => stage.told.restarts.length === 1)
    const at = performance.now()
    const before = stage.source.outputs.length
    expect(before).toBeGreaterThan(20)
    await until('outputs again', () => stage.source.outputs.length > before + 30)
    // Without a delay: as fast as the first start, whatever the load of the machine.
    const firstMs = stage.source.outputs[0]!.at - startedAt
    expect(stage.source.outputs[before]!.at - at).toBeLessThan(Math.max(2000, 3 * firstMs))
    expect(stage.told.restarts[0]!.reason).toContain(reason)
    expect(stage.source.shown.some(({ kind, at: shownAt }) => kind === 'overlay' && shownAt > at)).toBe(true)
    expect(stage.told.phases).toContain('restarting')
    expect(stage.told.phases.at(-1)).toBe('ready')
    if (name === 'uncaught')
      expect(stage.told.errors.map((error) => error.during)).toContain('a promise nobody waits for')
    viewerIsServed(stage)
    stage.source.stop()
    await everyFrameAccounted(stage.lease)
  })

  test.each(['hang-on-frame', 'silent-on-frame'])(
    '%s: the overlay within a second, a new runner after five',
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
      expect(stage.told.restarts[0]!.reason).toContain('stopped giving outputs')
      viewerIsServed(stage)
    },
  )

  test('throws on every tenth frame: only those are lost, reported once per second', async () => {
    await using stage = await play('throws-every-tenth')
    await until('100 frames', () => stage.source.outputs.length >= 90)
    stage.source.stop()
    await everyFrameAccounted(stage.lease)
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
  ])('%s: these outputs never reach the viewer', async (name, message) => {
    await using stage = await play(name)
    await until('40 outputs', () => stage.source.outputs.length >= 40)
    stage.source.stop()
    await everyFrameAccounted(stage.lease)
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
    await everyFrameAccounted(stage.lease)
    expect(stage.told.errors).toEqual([])
    const { frames, dropped } = stage.lease.stats()
    expect(frames.out).toBe(frames.in - dropped.beforePipeline)
    viewerIsServed(stage)
  })

  test('outputs larger than a slot of the ring are refused one by one, and later ones pass', async () => {
    await using stage = await play('oversized')
    await until('outputs after the large ones', () => stage.source.outputs.length >= 20)
    expect(stage.told.errors[0]).toMatchObject({
      during: 'getProcessedVideoFrame',
      message: expect.stringMatching(/gray frame of 8192x8192 has \d+ bytes; accepted are at most/),
    })
    stage.source.stop()
    await everyFrameAccounted(stage.lease)
    expect(stage.told.restarts).toEqual([])
  })

  test('endless outputs block neither the runner nor the server', async () => {
    await using stage = await play('endless-outputs')
    await until('outputs', () => stage.source.outputs.length >= 20)
    await expect(stage.lease.updateParams('merge', {})).resolves.toMatchObject({ status: 'applied' })
    viewerIsServed(stage)
  })
})
