import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nothingLeft } from '../../../helpers/nothing-left.ts'
import { WAIT_MS } from '../../../helpers/wait.ts'
import { alive, pause, play, until } from '../support/hosts.ts'
import { viewerIsServed } from '../support/served.ts'

let nothing: ReturnType<typeof nothingLeft>
beforeEach(() => {
  nothing = nothingLeft()
})
afterEach(() => nothing(WAIT_MS))

describe('a pipeline that uses too much', () => {
  test('100 MB of output on stdout do not slow the stream', async () => {
    await using stage = await play('prints-much')
    await until('100 frames', () => stage.source.outputs.length >= 90, 40_000)
    await pause(1100)
    expect(stage.told.lines.length).toBeLessThan(1500)
    expect(stage.told.lines.some((line) => /more bytes of output left out/.test(line))).toBe(true)
    expect(stage.told.restarts).toEqual([])
    viewerIsServed(stage)
  })

  test('a runaway allocation is killed at the memory limit and restarted', async () => {
    await using stage = await play('allocates', { memoryLimit: 400 * 2 ** 20 })
    await until('a restart', () => stage.told.restarts.length === 1)
    expect(stage.told.restarts[0]!.reason).toMatch(/used \d+ MiB of memory, more than 400/)
    const before = stage.source.outputs.length
    await until('outputs again', () => stage.source.outputs.length > before + 10)
    viewerIsServed(stage)
  })
})

describe('a pipeline that does not exit', () => {
  test('is killed when it ignores SIGTERM', async () => {
    const stage = await play('ignores-sigterm')
    await until('outputs', () => stage.source.outputs.length > 5)
    const pid = stage.lease.pid!
    const at = performance.now()
    await stage[Symbol.asyncDispose]()
    expect(performance.now() - at).toBeLessThan(15_000)
    expect(alive(pid)).toBe(false)
  })

  test('its child processes end with it, in its process group or outside', async () => {
    const stage = await play('leaves-grandchild')
    await until('its word', () => stage.told.lines.length > 0 || stage.source.outputs.length > 5)
    const line = stage.logs.lines.map((one) => String(one.line)).find((text) => text.startsWith('grandchildren'))
    const pids = line!.split(' ').slice(1).map(Number)
    expect(pids.map(alive)).toEqual([true, true])
    process.kill(stage.lease.pid!, 'SIGKILL')
    await until('both gone', () => !pids.some(alive))
    await stage[Symbol.asyncDispose]()
  })
})

describe('a reload', () => {
  test('shows the overlay, then the new model', async () => {
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

  test('that fails restarts the runner with the last valid params', async () => {
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

  test('a refused update leaves everything as it was', async () => {
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
