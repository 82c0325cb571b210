import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AudioFrame } from '../../../../src/core/media/audio.ts'
import {
  AUDIO,
  AUDIO_MAX_SAMPLES,
  AUDIO_SLOT_BYTES,
  AUDIO_SLOTS,
  SHARED_BYTES,
} from '../../../../src/pipeline/ring/audio-layout.ts'
import { AudioRing } from '../../../../src/pipeline/ring/audio-ring.ts'
import { createSharedFile, mapSharedFile, type SharedMemory } from '../../../../src/pipeline/ring/shared-memory.ts'

let memory: SharedMemory
let writer: AudioRing
let reader: AudioRing
beforeEach(() => {
  memory = mapSharedFile(createSharedFile(SHARED_BYTES), SHARED_BYTES)
  writer = new AudioRing(memory.buffer, 'input')
  reader = new AudioRing(memory.buffer, 'input')
})
afterEach(() => memory.unmap())

const frame = (pts: number, length = 4, channels = 2): AudioFrame => {
  return { data: Float32Array.from({ length }, (_, i) => pts + i), sampleRate: 48_000, channels, pts }
}

test('written frames are read in order, with their epoch', () => {
  for (let i = 0; i < 3; i++) expect(writer.write(frame(i), i)).toBe(true)
  expect(writer.waiting).toBe(3)
  for (let i = 0; i < 3; i++) expect(reader.take()).toEqual({ frame: frame(i), epoch: i })
  expect(reader.take()).toBeUndefined()
})

test('the two directions are independent, and the largest frame fits', () => {
  const other = new AudioRing(memory.buffer, 'output')
  writer.write(frame(1, AUDIO_MAX_SAMPLES), 1)
  other.write(frame(2, 960, 1), 2)
  expect(reader.take()?.frame).toEqual(frame(1, AUDIO_MAX_SAMPLES))
  expect(new AudioRing(memory.buffer, 'output').take()?.frame).toEqual(frame(2, 960, 1))
})

test('a frame without room is lost and counted, and earlier ones stay', () => {
  for (let i = 0; i < AUDIO_SLOTS + 5; i++) writer.write(frame(i), 0)
  expect([writer.waiting, writer.lost, reader.lost]).toEqual([AUDIO_SLOTS, 5, 5])
  expect(reader.take()?.frame.pts).toBe(0)
  expect(writer.write(frame(99), 0)).toBe(true)
})

test('counts wrap at 32 bits', () => {
  const words = new Int32Array(memory.buffer, AUDIO.counters.input, 2)
  words.fill(2 ** 31 - 2)
  for (let round = 0; round < 5; round++) {
    expect(writer.write(frame(round), 0)).toBe(true)
    expect(reader.take()?.frame.pts).toBe(round)
  }
  words.fill(-2)
  for (let round = 0; round < 5; round++) {
    writer.write(frame(round), 0)
    expect(reader.take()?.frame.pts).toBe(round)
  }
})

test.each([
  ['three channels', frame(0, 6, 3)],
  ['half a sample', frame(0, 3, 2)],
  ['more than 20 ms', frame(0, AUDIO_MAX_SAMPLES + 2, 2)],
])('%s are refused', (_, wrong) => expect(() => writer.write(wrong, 0)).toThrow('no slot holds'))

test.each([
  ['a channel count', 1, 7],
  ['a length', 2, 5000],
  ['a negative length', 2, -1],
])('a reader reports %s as invalid', (_, word, value) => {
  writer.write(frame(0), 0)
  new Int32Array(memory.buffer, AUDIO.slots, AUDIO_SLOT_BYTES / 4)[word] = value
  expect(() => reader.take()).toThrow('broken header')
})

test('a writer with inconsistent counters is detected', () => {
  new Int32Array(memory.buffer, AUDIO.counters.input, 1)[0] = AUDIO_SLOTS + 1
  expect(() => reader.take()).toThrow('broken header')
})
