import { afterEach, beforeEach, expect, test } from 'vitest'
import { frameBytes, PIXEL_FORMATS, type VideoFrame } from '../../../../src/core/media/frame.ts'
import { giveBack } from '../../../../src/core/media/frame-pool.ts'
import { combine, NO_FRAMES, readFrameCounts } from '../../../../src/pipeline/host/ring-counters.ts'
import {
  INPUT_SLOTS,
  OUTPUT_SLOTS,
  REGION,
  REGION_BYTES,
  RUNNER_COUNTERS,
  SLOT_BYTES,
} from '../../../../src/pipeline/ring/frame-layout.ts'
import { checkRegion, FrameRing, formatRegion } from '../../../../src/pipeline/ring/frame-ring.ts'
import { createSharedFile, mapSharedFile, type SharedMemory } from '../../../../src/pipeline/ring/shared-memory.ts'

let memory: SharedMemory
let input: FrameRing
let output: FrameRing

beforeEach(() => {
  memory = mapSharedFile(createSharedFile(REGION_BYTES), REGION_BYTES)
  formatRegion(memory.buffer)
  input = new FrameRing(memory.buffer, 'input')
  output = new FrameRing(memory.buffer, 'output')
})
afterEach(() => memory.unmap())

function frame(pts: number, format: VideoFrame['format'] = 'gray', width = 4, height = 2): VideoFrame {
  return { data: new Uint8Array(frameBytes(format, width, height)).fill(pts), format, width, height, pts }
}
const write = (ring: FrameRing, ...times: number[]) => {
  for (const pts of times) ring.write(frame(pts), 1)
}

test.each(PIXEL_FORMATS)('a frame of %s is read unchanged, in memory of its own', (format) => {
  const sent = frame(2 ** 40 + 1, format, 6, 4)
  input.write(sent, 9)
  const got = input.takeNext(9)
  expect(got).toEqual({ frame: sent, epoch: 9 })
  expect(got!.frame.data.buffer).not.toBe(memory.buffer)
  expect(got!.frame.data.constructor).toBe(Uint8Array)
})

test('the largest frame fits', () => {
  const sent = frame(1, 'rgba', 3840, 3840)
  input.write(sent, 1)
  expect(input.takeNext(1)?.frame.data.length).toBe(sent.data.length)
})

test('a frame that fits no slot is refused without losing a slot', () => {
  const sides: [number, number][] = [
    [3842, 3840],
    [8192, 8192],
  ]
  for (const [width, height] of sides) {
    const tooLarge = frame(1, 'rgba', width, height)
    for (let time = 0; time <= OUTPUT_SLOTS; time++)
      expect(() => output.write(tooLarge, 1)).toThrow(`at most ${SLOT_BYTES}`)
  }
  const torn = { ...frame(2), data: new Uint8Array(3) }
  expect(() => output.write(torn, 1)).toThrow('has 3 bytes where it takes 8')
  expect(output.count()).toMatchObject({ written: 0, waiting: 0 })
  write(output, ...Array.from({ length: OUTPUT_SLOTS }, (_, index) => index + 1))
  expect(output.count()).toMatchObject({ written: OUTPUT_SLOTS, overwritten: 0 })
  for (let pts = 1; pts <= OUTPUT_SLOTS; pts++) {
    const got = output.takeOldest()!
    expect(got.frame.pts).toBe(pts)
    giveBack(got.frame.data)
  }
})

test('the newest wins, and the others are counted', () => {
  write(input, 1, 2, 3)
  expect(input.takeNext(1)?.frame.pts).toBe(3)
  expect(input.takeNext(1)).toBeUndefined()
  expect(input.count()).toEqual({ written: 3, overwritten: 0, taken: 1, skipped: 2, stale: 0, waiting: 0 })
})

test('a burst passes whole to a reader that can take it, and not to others', () => {
  write(input, 1, 2, 3)
  expect(input.takeNext(1, 3)?.frame.pts).toBe(1)
  expect(input.takeNext(1, 3)?.frame.pts).toBe(2)
  write(input, 4, 5)
  expect(input.takeNext(1, 2)?.frame.pts).toBe(5)
  expect(input.count()).toEqual({ written: 5, overwritten: 0, taken: 3, skipped: 2, stale: 0, waiting: 0 })
})

test('a full ring drops its oldest', () => {
  const last = INPUT_SLOTS + 2
  write(input, ...Array.from({ length: last }, (_, index) => index + 1))
  expect(input.full).toBe(true)
  expect(input.count()).toMatchObject({ written: last, overwritten: 2, waiting: INPUT_SLOTS })
  expect(input.takeNext(1)?.frame.pts).toBe(last)
  expect(input.count()).toMatchObject({ overwritten: 2, taken: 1, skipped: INPUT_SLOTS - 1, waiting: 0 })
})

test('oldest-first keeps the order, also across drops', () => {
  const times = Array.from({ length: OUTPUT_SLOTS + 3 }, (_, index) => index + 1)
  write(output, ...times)
  const got = Array.from({ length: OUTPUT_SLOTS }, () => output.takeOldest()?.frame.pts)
  expect(got).toEqual(times.slice(3))
  expect(output.takeOldest()).toBeUndefined()
})

test('frames of another epoch are skipped', () => {
  input.write(frame(1), 1)
  input.write(frame(2), 1)
  expect(input.takeNext(2)).toBeUndefined()
  input.write(frame(3), 2)
  expect(input.takeNext(2)?.frame.pts).toBe(3)
  expect(input.count()).toMatchObject({ taken: 1, stale: 2, waiting: 0 })
})

test('an invalid header is an error, and its slot is free again', () => {
  write(input, 1)
  const width = REGION.slotHeaders / 4 + 3
  new Int32Array(memory.buffer)[width] = 5
  expect(() => input.takeNext(1)).toThrow('broken header')
  expect(input.takeNext(1)).toBeUndefined()
})

test('memory of another layout is refused', () => {
  checkRegion(memory.buffer)
  new DataView(memory.buffer).setUint32(REGION.version, 99, true)
  expect(() => checkRegion(memory.buffer)).toThrow('layout 99')
})

test('access after unmapping throws a JavaScript error', () => {
  memory.unmap()
  memory.unmap()
  expect(() => input.count()).toThrow()
  expect(memory.buffer.byteLength).toBe(0)
})

test('counts are consistent at every moment, and after the end of the runner', () => {
  const counters = new Int32Array(memory.buffer, REGION.runnerCounters, 16)
  const count = (name: keyof typeof RUNNER_COUNTERS, by = 1) => Atomics.add(counters, RUNNER_COUNTERS[name], by)
  write(input, 1, 2, 3, 4, 5, 6)
  input.takeNext(1)
  count('accepted')
  write(input, 7, 8)
  input.takeNext(1)
  write(input, 9)
  // One is held by the reader, one queued, one being written.
  count('queued', 3)
  count('produced', 2)
  write(output, 6)
  output.takeOldest()
  const running = readFrameCounts(input, output, counters, false)
  expect(running).toEqual({
    offered: 9,
    beforePipeline: 6,
    failed: 0,
    accepted: 1,
    inside: 2,
    afterPipeline: 0,
    pending: 2,
    arrived: 1,
  })
  const gone = readFrameCounts(input, output, counters, true)
  expect(gone).toEqual({ ...running, beforePipeline: 7, failed: 1, inside: 0, afterPipeline: 2, pending: 0 })
  expect(gone.beforePipeline + gone.failed + gone.accepted).toBe(gone.offered)
  expect(combine(gone, gone, -1)).toEqual(NO_FRAMES)
})

const slotOf = (data: Uint8Array) => data.buffer === memory.buffer

test('lent memory is written without a copy', () => {
  const data = input.take(8)!
  expect(slotOf(data)).toBe(true)
  data.fill(7)
  input.write({ ...frame(7), data }, 1)
  // The producer returns it like a buffer of its own, and the frame stays valid.
  expect(giveBack(data)).toBe(true)
  expect(input.takeNext(1)?.frame).toEqual(frame(7))
  expect(input.count()).toMatchObject({ written: 1, taken: 1, waiting: 0 })
})

test('unused lent memory is free again', () => {
  for (let i = 0; i < 100; i++) expect(giveBack(input.take(8)!)).toBe(true)
  write(input, ...Array.from({ length: INPUT_SLOTS }, (_, i) => i + 1))
  expect(input.count()).toMatchObject({ overwritten: 0, waiting: INPUT_SLOTS })
  expect(input.take(8)).toBeUndefined()
})

test('part of the memory is never lent, and none that is too small', () => {
  expect(input.take(SLOT_BYTES + 1)).toBeUndefined()
  const held = Array.from({ length: INPUT_SLOTS }, () => input.take(8)).filter((data) => data !== undefined)
  expect(held.length).toBeGreaterThan(0)
  expect(held.length).toBeLessThan(INPUT_SLOTS / 2)
  write(input, 1, 2, 3)
  expect(input.takeNext(1, 3)?.frame.pts).toBe(1)
})

test('a frame of another ring is copied', () => {
  const data = input.take(8)!.fill(3)
  output.write({ ...frame(3), data }, 1)
  const got = output.takeOldest()!
  expect(got.frame).toEqual(frame(3))
  expect(got.frame.data.byteOffset).not.toBe(data.byteOffset)
})

test('an output stays unchanged until it is returned, however many come after it', () => {
  write(output, 1)
  const first = output.takeOldest()!.frame
  expect(slotOf(first.data)).toBe(true)
  let returned = 0
  output.onReturn = () => returned++
  for (let pts = 2; pts < 50; pts++) {
    write(output, pts)
    const { data } = output.takeOldest(FRESH)!.frame
    expect(data).toEqual(frame(pts).data)
    giveBack(data)
  }
  expect(first).toEqual(frame(1))
  expect([returned, output.lent]).toEqual([48, 1])
  giveBack(first.data)
  expect([returned, output.lent]).toEqual([49, 0])
})

test('a reader that holds many outputs gets copies, and the writer always finds a slot', () => {
  const held: VideoFrame[] = []
  for (let pts = 1; pts <= 20; pts++) {
    write(output, pts)
    held.push(output.takeOldest(FRESH)!.frame)
  }
  expect(held).toEqual(Array.from({ length: 20 }, (_, i) => frame(i + 1)))
  expect(output.count()).toMatchObject({ written: 20, overwritten: 0, taken: 20 })
  expect(held.filter(({ data }) => slotOf(data)).length).toBe(output.lent)
  expect(output.lent).toBeLessThanOrEqual(OUTPUT_SLOTS / 2)
})

const FRESH = (bytes: number) => new Uint8Array(bytes)

test.each([2 ** 31 - 2, 2 ** 32 - 2])('counting continues across the counter wrap at %i', (start) => {
  const runner = new Int32Array(memory.buffer, REGION.runnerCounters, 16)
  const at = (region: number, index: number) => new Int32Array(memory.buffer, region, 16).fill(start, index, index + 1)
  at(REGION.inputCounters, 0)
  at(REGION.inputCounters, 2)
  at(REGION.runnerCounters, RUNNER_COUNTERS.accepted)
  const before = readFrameCounts(input, output, runner, false)
  expect(before.inside).toBe(0)
  write(input, 1, 2, 3, 4, 5)
  expect(input.count().waiting).toBe(5)
  for (let i = 0; i < 4; i++) expect(input.takeNext(1, 9)).toBeDefined()
  for (let i = 0; i < 3; i++) Atomics.add(runner, RUNNER_COUNTERS.accepted, 1)
  const counts = combine(readFrameCounts(input, output, runner, false), before, -1)
  expect(counts).toMatchObject({ offered: 5, accepted: 3, inside: 2, beforePipeline: 0, failed: 0 })
})

test('frames of another resolution than the current one are skipped and counted', () => {
  input.write(frame(1, 'gray', 4, 2), 1)
  input.write(frame(2, 'gray', 8, 2), 1)
  expect(input.takeNext(1, 9, { width: 8, height: 2 })?.frame.pts).toBe(2)
  expect(input.count()).toMatchObject({ stale: 1, taken: 1, waiting: 0 })
})
