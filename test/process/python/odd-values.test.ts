import { expect, test } from 'vitest'
import { inOrder, until } from '../pipeline/support/hosts.ts'
import { usePython } from './support.ts'

const { start } = usePython('my-pipeline', 'odd-pipelines')

/** Result of every fifth frame: reported as an error, or shown unchanged. */
const FAULTS: Record<string, RegExp> = {
  'zero-height': /from 1 to 8192 pixels a side, not 64x0/,
  'zero-width': /from 1 to 8192 pixels a side, not 0x64/,
  huge: /larger than/,
  list: /uint8 array, not list/,
  format: /nv12/,
  object: /uint8 array, not object/,
  'no-time': /TypeError/,
  'nan-time': /ValueError/,
  'negative-time': /time/,
  'huge-time': /time/,
  'no-data': /neither data nor a tensor/,
  'no-frame': /NoneType/,
  'no-output': /must give a VideoOutput, not VideoFrame/,
  mute: /Mute/,
  base: /Unknown/,
  stop: /StopAsyncIteration/,
  long: /x{1000}/,
  surrogate: /ValueError/,
  group: /several/,
  generator: /GeneratorExit/,
}
const SHOWN = ['odd-size', 'tiny', 'columns', 'mirrored', 'read-only', 'half-time']

test('any invalid result or error loses that frame only, and is reported; methods may be plain functions', async () => {
  await using stage = await start('py-odd-values')
  await until('outputs', () => stage.source.outputs.length > 20)
  for (const [kind, fault] of Object.entries(FAULTS)) {
    const told = stage.told.errors.length
    await stage.lease.updateParams('merge', { kind })
    await until(`what is told of ${kind}`, () =>
      stage.told.errors.slice(told).some(({ message }) => fault.test(message)),
    )
    const before = stage.source.outputs.length
    await until(`outputs after ${kind}`, () => stage.source.outputs.length > before + 5)
    expect([kind, stage.told.restarts]).toEqual([kind, []])
  }
  await stage.lease.updateParams('merge', { kind: 'none' })
  const told = stage.told.errors.length
  for (const kind of SHOWN) {
    await stage.lease.updateParams('merge', { kind })
    const before = stage.source.outputs.length
    await until(`outputs with ${kind}`, () => stage.source.outputs.length > before + 5)
  }
  // Errors of one kind are reported once per second: the last one may be late.
  const others = stage.told.errors.slice(told).filter(({ message }) => !FAULTS.generator!.test(message))
  expect(others).toEqual([])
  expect(stage.told.restarts).toEqual([])
  expect(inOrder(stage.source.shown)).toBe(true)
})
