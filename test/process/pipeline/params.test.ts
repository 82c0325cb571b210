import { expect, test } from 'vitest'
import { AppError } from '../../../src/core/errors.ts'
import type { VideoFrame } from '../../../src/core/media/frame.ts'
import { openTestPool, play, Source, until } from './support/hosts.ts'

test('200 updates in two seconds: each answered, the last one applied, never two at once, no frame with half of one', async () => {
  await using world = await openTestPool()
  const frames: VideoFrame[] = []
  const source = new Source()
  const onFrame = (frame: VideoFrame) => frames.push(frame)
  const lease = await world.pool.lease({ pipeline: 'params-probe', requestId: 'r', onFrame }, { log: world.log })
  source.start(lease)
  await until('outputs', () => frames.length > 5)
  const from = frames.length
  const replies = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index * 10))
      return lease.updateParams('merge', { value: index + 1 })
    }),
  )
  expect(replies.every(({ status }) => status === 'applied')).toBe(true)
  const revisions = replies.map(({ revision }) => revision)
  expect(revisions).toEqual([...revisions].sort((a, b) => a - b))
  for (const [index, { params }] of replies.entries()) expect(params.value).toBeGreaterThanOrEqual(index + 1)
  expect(replies.at(-1)!.params.value).toBe(200)
  expect(lease.params).toMatchObject({ value: { value: 200 }, revision: revisions.at(-1) })
  const until200 = () => frames.at(-1)!.data[0] === 200
  await until('the last in a frame', until200)
  source.stop()
  const during = frames.slice(from)
  expect(during.length).toBeGreaterThan(20)
  for (const { data } of during) {
    expect(data[1]).toBe(data[0])
    expect(data[2]).toBe(0)
  }
  const values = during.map(({ data }) => data[0]!)
  expect(values).toEqual([...values].sort((a, b) => a - b))
  await lease.close()
})

test('updates reach a pipeline that is always busy', async () => {
  await using stage = await play('busy')
  await until('outputs', () => stage.source.outputs.length > 5)
  const at = performance.now()
  await stage.lease.updateParams('merge', { show_reloading_frame: false })
  expect(performance.now() - at).toBeLessThan(500)
  expect(stage.lease.showReloadingFrame).toBe(false)
})

test('merge keeps the params it does not name, replace restores the variant', async () => {
  await using stage = await play('slow-and-strange', { params: { blocking: true } })
  await until('ready', () => stage.lease.status.phase === 'ready')
  expect(stage.lease.params.value).toMatchObject({ frame_ms: 10, blocking: true })
  const merged = await stage.lease.updateParams('merge', { frame_ms: 20 })
  expect(merged.params).toMatchObject({ frame_ms: 20, blocking: true })
  const replaced = await stage.lease.updateParams('replace', {})
  expect(replaced.params).toMatchObject({ frame_ms: 10, blocking: false })
  expect(replaced.revision).toBe(merged.revision + 1)
})

test('an invalid update is refused with an error per field and changes nothing', async () => {
  await using stage = await play('slow')
  await until('ready', () => stage.lease.status.phase === 'ready')
  const error = await stage.lease.updateParams('merge', { frame_ms: -1, blocking: 'perhaps' }).catch((thrown) => thrown)
  expect(error).toBeInstanceOf(AppError)
  expect(error).toMatchObject({ code: 'invalid-params' })
  expect(error.issues.map(({ path }: { path: string[] }) => path)).toEqual([['frame_ms'], ['blocking']])
  expect(stage.lease.params).toMatchObject({ revision: 1, value: { frame_ms: 200, blocking: false } })
})

test('the resolution of a running stream changes by its params', async () => {
  await using stage = await play('noop', { params: { width: 64, height: 64 } })
  await until('ready', () => stage.lease.status.phase === 'ready')
  expect(stage.lease.input).toEqual({ width: 64, height: 64 })
  await until('outputs', () => stage.source.outputs.length > 3)
  const half = stage.lease.updateParams('merge', { width: 128, height: null })
  await expect(half).rejects.toMatchObject({ code: 'invalid-params', issues: [{ path: ['height'] }] })
  await stage.lease.updateParams('merge', { width: 128, height: 96 })
  expect(stage.lease.input).toEqual({ width: 128, height: 96 })
  const before = stage.source.outputs.length
  await until('outputs of the new one', () => stage.source.outputs.length > before + 5)
  // A param left out of a replacement is reset to its default: here the size of the source.
  const { params } = await stage.lease.updateParams('replace', { show_reloading_frame: false })
  expect(params).toEqual({ show_reloading_frame: false })
  expect(stage.lease.input).toEqual({})
})

test('a frame too large for a slot is refused with an error, and later frames pass', async () => {
  await using stage = await play('noop')
  await until('outputs', () => stage.source.outputs.length > 3)
  const errors: string[] = []
  stage.lease.events.on('error', ({ message }) => errors.push(message))
  const [width, height] = [3842, 3840]
  const large = { data: new Uint8Array(width * height * 4), format: 'rgba' as const, width, height, pts: 2 ** 40 }
  expect(stage.lease.offer(large)).toBe(false)
  expect(stage.lease.offer({ ...large, pts: 2 ** 40 + 1 })).toBe(false)
  expect(errors).toHaveLength(1)
  expect(errors[0]).toContain('3842x3840')
})

test('updates are accepted during the load and applied from the first frame', async () => {
  await using stage = await play('slow-to-load', { params: { load_ms: 1500 } })
  const reply = await stage.lease.updateParams('merge', { level: 42 })
  expect(reply).toMatchObject({ status: 'accepted', params: { level: 42 } })
  await expect(stage.lease.updateParams('merge', { level: 1000 })).rejects.toMatchObject({ code: 'invalid-params' })
  await until('outputs', () => stage.source.outputs.length > 3)
  expect(stage.source.outputs.map(({ value }) => value)).not.toContain(7)
  expect(stage.lease.params.value).toMatchObject({ level: 42 })
})

test('an update between two runners reaches the second one', async () => {
  await using stage = await play('slow', { params: { frame_ms: 5 } })
  await until('outputs', () => stage.source.outputs.length > 5)
  process.kill(stage.lease.pid!, 'SIGKILL')
  await until('restarting', () => stage.lease.status.phase === 'restarting')
  const reply = await stage.lease.updateParams('merge', { frame_ms: 6 })
  expect(reply.params).toMatchObject({ frame_ms: 6 })
  await until('in force', () => stage.lease.params.value.frame_ms === 6)
})

test('an update that waits for a frame without end reaches the next runner', async () => {
  await using stage = await play('slow', { params: { frame_ms: 5 } })
  await until('outputs', () => stage.source.outputs.length > 5)
  expect(await stage.lease.updateParams('merge', { frame_ms: 100_000 })).toMatchObject({ status: 'applied' })
  await until('a frame without end', () => stage.lease.status.phase === 'stalled')
  expect(await stage.lease.updateParams('merge', { frame_ms: 6 })).toMatchObject({
    status: 'accepted',
    params: { frame_ms: 6 },
  })
  await until('in force', () => stage.lease.params.value.frame_ms === 6)
  const before = stage.source.outputs.length
  await until('outputs again', () => stage.source.outputs.length > before + 10)
})
