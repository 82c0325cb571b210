import { expect, test } from 'vitest'
import type { VideoFrame } from '../../../src/core/media/frame.ts'
import { giveBack } from '../../../src/core/media/frame-pool.ts'
import type { PipelineLease } from '../../../src/pipeline/supervision/pool/pool.ts'
import { openTestPool, testFrame, until } from './support/hosts.ts'

const BYTES = testFrame(0).data.length

/** Offers a frame written directly into memory of the pipeline, as a decoder does. */
function offerInPlace(lease: PipelineLease, number: number): boolean {
  const frame = testFrame(number)
  const data = lease.take(BYTES)
  data?.set(frame.data)
  const taken = lease.offer({ ...frame, data: data ?? frame.data })
  if (data) giveBack(data)
  return data !== undefined && taken
}

test('frames written directly into the memory of the pipeline arrive intact', async () => {
  await using world = await openTestPool()
  const outputs: VideoFrame[] = []
  await using lease = await world.pool.lease(
    {
      requestId: 'one',
      onFrame: (frame) => {
        expect(frame.data).toEqual(testFrame(frame.pts / 3000).data)
        outputs.push({ ...frame, data: frame.data.subarray(0, 0) })
        expect(giveBack(frame.data)).toBe(true)
      },
    },
    { log: world.log },
  )
  await until('loaded', () => lease.status.phase === 'ready')
  for (let number = 1; number <= 60; number++) {
    expect(offerInPlace(lease, number)).toBe(true)
    await until(`output ${number}`, () => outputs.length === number)
  }
  expect(outputs.map(({ pts }) => pts / 3000)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1))
})

test('when a pipeline is killed, lent memory stays unchanged until it is returned', async () => {
  await using world = await openTestPool()
  const held: VideoFrame[] = []
  await using lease = await world.pool.lease(
    { requestId: 'one', onFrame: (frame) => held.push(frame) },
    { log: world.log },
  )
  await until('loaded', () => lease.status.phase === 'ready')
  offerInPlace(lease, 1)
  await until('an output', () => held.length === 1)
  const [output] = held as [VideoFrame]
  const reading = lease.take(BYTES)!
  process.kill(lease.pid!, 'SIGKILL')
  await until('started again', () => lease.stats().restarts === 1 && lease.status.phase === 'ready')
  expect(output.data).toEqual(testFrame(1).data)
  // The decoder continues with the frame it had started; the new process gets a copy.
  reading.set(testFrame(2).data)
  expect(lease.offer({ ...testFrame(2), data: reading })).toBe(true)
  giveBack(reading)
  await until('its output', () => held.length === 2)
  expect(held[1]!.data).toEqual(testFrame(2).data)
  // All memory of the old process has been returned, and is unmapped.
  expect(output.data).toHaveLength(BYTES)
  giveBack(output.data)
  expect([output.data.length, reading.length]).toEqual([0, 0])
})

test('memory still held after the end of a stream is not reused for the next one', async () => {
  await using world = await openTestPool()
  const held: VideoFrame[] = []
  const request = { requestId: 'one', onFrame: (frame: VideoFrame) => held.push(frame) }
  {
    await using first = await world.pool.lease(request, { log: world.log })
    await until('loaded', () => first.status.phase === 'ready')
    offerInPlace(first, 1)
    await until('an output', () => held.length === 1)
  }
  await using second = await world.pool.lease({ ...request, requestId: 'two' }, { log: world.log })
  await until('loaded', () => second.status.phase === 'ready')
  for (let number = 2; number < 20; number++) {
    offerInPlace(second, number)
    await until(`output ${number}`, () => held.length === number)
    giveBack(held[number - 1]!.data)
  }
  expect(held[0]!.data).toEqual(testFrame(1).data)
})
