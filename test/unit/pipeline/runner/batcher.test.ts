import { expect, test, vi } from 'vitest'
import { Batcher } from '../../../../src/pipeline/runner/batcher.ts'
import type { BatchItem, Processed } from '../../../../src/sdk/processed.ts'

const item = (requestId: string) => ({ requestId }) as BatchItem
const settle = (all: Promise<unknown>[]) => Promise.allSettled(all).then((each) => each.map(({ status }) => status))

function open(process: (names: string[]) => Promise<readonly Processed[]> | readonly Processed[]) {
  const batches: string[][] = []
  const hung: number[] = []
  const inside = new Set<number>()
  const insideAtCall: number[][] = []
  const batcher = new Batcher({
    process: async (items) => {
      const names = items.map(({ requestId }) => requestId)
      batches.push(names)
      insideAtCall.push([...inside])
      return await process(names)
    },
    onCall: (seat, isInside) => void (isInside ? inside.add(seat) : inside.delete(seat)),
    onHang: (seat) => hung.push(seat),
  })
  const put = (names: string[]) => names.map((name, seat) => batcher.process(seat, item(name)))
  return { batcher, batches, hung, inside, insideAtCall, put }
}

const nothing = (names: string[]) => names.map(() => undefined)

test('waiting frames form one batch, oldest first, and later ones the next', async () => {
  const gate = Promise.withResolvers<void>()
  const { batcher, batches, put } = open(async (names) => {
    await gate.promise
    return nothing(names)
  })
  const first = put(['a', 'b', 'c'])
  await vi.waitFor(() => expect(batches).toHaveLength(1))
  const later = [batcher.process(3, item('d')), batcher.process(4, item('e'))]
  gate.resolve()
  await Promise.all([...first, ...later])
  expect(batches).toEqual([
    ['a', 'b', 'c'],
    ['d', 'e'],
  ])
})

test('a stream whose frame fails loses only that frame, and is called alone from then on', async () => {
  const { batches, put, insideAtCall, inside } = open((names) => {
    if (names.includes('bad')) throw new Error('no')
    return nothing(names)
  })
  for (let round = 0; round < 2; round++)
    expect(await settle(put(['a', 'bad', 'c']))).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(batches.slice(0, 4)).toEqual([['a', 'bad', 'c'], ['a'], ['bad'], ['c']])
  expect(batches.slice(4).sort()).toEqual([['a', 'c'], ['bad']])
  // If the process exits during a call, the streams of its frames are known.
  expect(insideAtCall.slice(0, 4)).toEqual([[0, 1, 2], [0], [1], [2]])
  expect(inside.size).toBe(0)
})

test('calls of a suspect stream and of the others alternate', async () => {
  const { batcher, batches } = open(nothing)
  batcher.suspect(9)
  const all: Promise<unknown>[] = []
  const stream = async (seat: number, name: string) => {
    for (let frame = 0; frame < 4; frame++) await batcher.process(seat, item(name))
  }
  all.push(stream(9, 'suspect'), stream(0, 'a'), stream(1, 'b'))
  await Promise.all(all)
  expect(batches.filter((names) => names.includes('suspect') && names.length > 1)).toEqual([])
  const turns = batches.map((names) => names[0] === 'suspect')
  expect(turns.some((mine, at) => mine && turns[at + 1] && turns.slice(at + 1).includes(false))).toBe(false)
})

test('there are as many results as frames', async () => {
  const { put } = open(() => [])
  await expect(put(['a'])[0]).rejects.toThrow(/must give 1 results/)
})

test('an ended stream waits for nothing', async () => {
  const { batcher, put } = open(nothing)
  const [waiting] = put(['a'])
  batcher.forget(0)
  await expect(waiting).rejects.toThrow(/over/)
})

test('a call that never returns is abandoned, and a stream that causes it alone is closed', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
    const controller = new AbortController()
    setTimeout(() => controller.abort(), ms)
    return controller.signal
  })
  try {
    const { batches, hung, put } = open((names) =>
      names.includes('bad') ? new Promise<never>(() => {}) : nothing(names),
    )
    const first = settle(put(['bad', 'a']))
    await vi.waitFor(() => expect(batches).toHaveLength(1))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await first).toEqual(['rejected', 'rejected'])
    expect(hung).toEqual([])
    // Whose frame it was shows now, and the others do not wait for that.
    const [guilty, other] = put(['bad', 'a'])
    const second = settle([guilty!])
    await other
    expect(batches.slice(1)).toEqual([['bad'], ['a']])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await second).toEqual(['rejected'])
    expect(hung).toEqual([0])
  } finally {
    vi.useRealTimers()
    vi.restoreAllMocks()
  }
})
