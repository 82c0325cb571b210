import { expect, test } from 'vitest'
import type { Catalog } from '../../../../src/pipeline/catalog/catalog.ts'
import type { PipelineLease } from '../../../../src/pipeline/supervision/pool/pool.ts'
import { inOrder, listen, openTestPool, Source, type TestPool, type Told, until } from './hosts.ts'

type Stream = { lease: PipelineLease; source: Source; told: Told; sizes: number[] }
type Streams = { world: TestPool; streams: Stream[] } & AsyncDisposable

/** Streams of a pipeline that accepts four per process; each has its number as its param. */
async function play(pipeline: string, catalog: Catalog | undefined, count: number): Promise<Streams> {
  const world = await openTestPool({ defaultPipeline: pipeline, ...(catalog && { catalog }) })
  const streams: Stream[] = []
  for (let number = 0; number < count; number++) streams.push(await join(pipeline, world, number))
  return {
    world,
    streams,
    async [Symbol.asyncDispose]() {
      for (const { source } of streams) source.stop()
      await Promise.all(streams.map(({ lease }) => lease.close()))
      await world[Symbol.asyncDispose]()
    },
  }
}

async function join(pipeline: string, { pool, log }: TestPool, number: number, params = {}): Promise<Stream> {
  const source = new Source()
  const sizes: number[] = []
  const lease = await pool.lease(
    {
      pipeline,
      params: { value: number, ...params },
      requestId: `stream ${number}`,
      onFrame: (frame) => {
        sizes.push(frame.data[1]!)
        source.onFrame(frame)
      },
    },
    { log },
  )
  const told = listen(lease)
  source.start(lease)
  return { lease, source, told, sizes }
}

const pids = (streams: readonly Stream[]) => new Set(streams.map(({ lease }) => lease.pid))
const flowing = (streams: readonly Stream[], frames = 20) => {
  const before = streams.map(({ source }) => source.outputs.length)
  return until('outputs of all', () => streams.every(({ source }, at) => source.outputs.length > before[at]! + frames))
}

/** Each stream got only its own frames, in order. */
function expectOwn(streams: readonly Stream[]): void {
  for (const [number, { source }] of streams.entries()) {
    expect(inOrder(source.shown)).toBe(true)
    expect(new Set(source.outputs.map(({ value }) => value))).toEqual(new Set([number]))
  }
}

/** Test cases for both languages. */
export function sharedModelTests(pipeline: string, catalog?: () => Promise<Catalog>): void {
  test('four streams share one process and its batches, each with its own params; a fifth gets another process', async () => {
    await using all = await play(pipeline, await catalog?.(), 4)
    const { streams, world } = all
    await flowing(streams, 30)
    expect(pids(streams).size).toBe(1)
    expect((await world.pool.describe(pipeline)).streams).toBe(4)
    expect(Math.max(...streams.flatMap(({ sizes }) => sizes))).toBeGreaterThan(1)
    expectOwn(streams)
    const [first, second] = streams
    expect(await first!.lease.updateParams('merge', { value: 77 })).toMatchObject({ status: 'applied' })
    await expect(first!.lease.updateParams('merge', { model: 'large' })).rejects.toMatchObject({
      code: 'invalid-params',
    })
    await until('the change', () => first!.source.outputs.at(-1)?.value === 77)
    expect(second!.source.outputs.at(-1)?.value).toBe(1)
    const fifth = await join(pipeline, world, 4)
    await flowing([fifth])
    expect(pids(streams).has(fifth.lease.pid)).toBe(false)
    fifth.source.stop()
    await fifth.lease.close()
    // A stream that ends frees its place without affecting the others.
    streams[3]!.source.stop()
    await streams[3]!.lease.close()
    await flowing(streams.slice(0, 3))
    expect(streams.every(({ told }) => told.restarts.length === 0)).toBe(true)
  })

  test('a process that exits takes all streams to the overlay, and brings all back', async () => {
    await using all = await play(pipeline, await catalog?.(), 4)
    const { streams } = all
    await flowing(streams)
    const [old] = pids(streams)
    process.kill(old!, 'SIGKILL')
    await until('the overlay', () => streams.every(({ lease }) => lease.status.phase === 'restarting'))
    await until('the overlay frames', () => streams.every(({ source }) => source.shown.at(-1)?.kind === 'overlay'))
    await flowing(streams)
    expect(pids(streams).size).toBe(1)
    expect(pids(streams).has(old)).toBe(false)
    expect(streams.map(({ told }) => told.restarts.length)).toEqual([1, 1, 1, 1])
    expectOwn(streams)
  })

  test('a stream whose frames fail is the only one to lose them', async () => {
    await using all = await play(pipeline, await catalog?.(), 4)
    const { streams } = all
    await flowing(streams)
    await streams[0]!.lease.updateParams('merge', { fault: 'throws' })
    await until('its errors', () => streams[0]!.lease.stats().dropped.failed > 10)
    const others = streams.slice(1)
    await flowing(others, 30)
    expect(others.map(({ lease }) => lease.stats().dropped.failed)).toEqual([0, 0, 0])
    expect(others.every(({ told }) => told.errors.length === 0)).toBe(true)
    await streams[0]!.lease.updateParams('merge', { fault: 'none' })
    await flowing(streams)
    expect(pids(streams).size).toBe(1)
  })

  test('a stream whose frame never returns is closed alone', async () => {
    await using all = await play(pipeline, await catalog?.(), 3)
    const { streams } = all
    await flowing(streams)
    const [shared] = pids(streams)
    await streams[0]!.lease.updateParams('merge', { fault: 'hangs' })
    await until('it to go', () => streams[0]!.told.restarts.length > 0)
    const others = streams.slice(1)
    await flowing(others)
    expect(pids(others)).toEqual(new Set([shared]))
    expect(others.every(({ told }) => told.restarts.length === 0)).toBe(true)
    await until('its own process', () => streams[0]!.lease.pid !== undefined && streams[0]!.lease.pid !== shared)
  }, 60_000)

  test('a stream that ends the process again continues in a process of its own', async () => {
    await using all = await play(pipeline, await catalog?.(), 2)
    const { streams: others, world } = all
    await flowing(others)
    const guilty = await join(pipeline, world, 2, { fault: 'exits' })
    await until('the others to be rid of it', () => guilty.told.restarts.length >= 3, 40_000)
    const restarts = others.map(({ told }) => told.restarts.length)
    expect(Math.max(...restarts)).toBeLessThanOrEqual(2)
    await flowing(others, 60)
    expect(others.map(({ told }) => told.restarts.length)).toEqual(restarts)
    expect(pids(others).size).toBe(1)
    expectOwn(others)
    guilty.source.stop()
    await guilty.lease.close()
  }, 60_000)
}
