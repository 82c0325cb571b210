import { expect, test } from 'vitest'
import { pause, play, until } from './support/hosts.ts'

test('a pipeline that needs 1.2 s per frame survives pauses of its source', { timeout: 120_000 }, async () => {
  await using stage = await play('slow', { params: { frame_ms: 1200 } })
  const { source, lease, told } = stage
  await until('two outputs', () => source.outputs.length >= 2, 60_000)
  const { pid } = lease
  source.stop()
  await pause(7500)
  const before = source.outputs.length
  source.start(lease)
  await until('outputs after the pause', () => source.outputs.length > before + 1, 60_000)
  expect(told.restarts).toEqual([])
  expect(lease.pid).toBe(pid)
  expect(told.states).not.toContain('ERROR')
})
