import { describe, expect, test } from 'vitest'
import { type AudioFrame, audioTicks } from '../../../../src/core/media/audio.ts'
import { AudioSplice } from '../../../../src/stream/audio/splice.ts'

const FRAME = 1800
const [A, B] = [{ name: 'a' }, { name: 'b' }]

/** `value` in all samples; 20 ms by default. */
function frame(number: number, value: number, ms = 20): AudioFrame {
  return { data: new Float32Array(48 * ms * 2).fill(value), sampleRate: 48_000, channels: 2, pts: number * FRAME }
}

function open() {
  const out: AudioFrame[] = []
  const splice = new AudioSplice((one) => out.push(one))
  /** Frames that left, by value, and whether each one follows the previous without a gap. */
  const left = () => out.map(({ data }) => data[0])
  const whole = () => out.every(({ pts }, i) => i === 0 || pts === out[i - 1]!.pts + audioTicks(out[i - 1]!))
  return { splice, left, whole }
}

test('outputs replace their inputs', () => {
  const { splice, left, whole } = open()
  for (let i = 0; i < 3; i++) {
    splice.input(frame(i, 1), A, i * 20)
    expect(left().length).toBe(i)
    splice.output(frame(i, 2), A, i * 20 + 5)
  }
  expect(left()).toEqual([2, 2, 2])
  expect(whole()).toBe(true)
  expect([splice.processed, splice.unprocessed, splice.late]).toEqual([3, 0, 0])
  expect(splice.latencyMs.p50).toBe(5)
})

test('unprocessed frames leave at once, behind pending ones', () => {
  const { splice, left } = open()
  splice.input(frame(0, 1), undefined, 0)
  expect(left()).toEqual([1])
  splice.input(frame(1, 1), A, 20)
  splice.input(frame(2, 3), undefined, 40)
  expect(left()).toEqual([1])
  splice.output(frame(1, 2), A, 45)
  expect(left()).toEqual([1, 2, 3])
})

test('a skipped frame leaves unchanged', () => {
  const { splice, left, whole } = open()
  for (let i = 0; i < 3; i++) splice.input(frame(i, 1), A, i)
  splice.output(frame(2, 2), A, 5)
  expect(left()).toEqual([1, 1, 2])
  expect(whole()).toBe(true)
  expect(splice.unprocessed).toBe(2)
})

test('outputs may be split differently', () => {
  const { splice, left, whole } = open()
  splice.input(frame(0, 1), A, 0)
  splice.input(frame(1, 1), A, 0)
  splice.output(frame(0, 2, 10), A, 1)
  splice.output(frame(0.5, 3, 20), A, 1)
  splice.output(frame(1.5, 4, 10), A, 1)
  expect(left()).toEqual([2, 3, 4])
  expect(whole()).toBe(true)
  expect(splice.unprocessed).toBe(0)
})

describe('a pipeline without outputs', () => {
  test('is waited for half a second, then not until its next output', () => {
    const { splice, left, whole } = open()
    splice.input(frame(0, 1), A, 0)
    splice.input(frame(1, 1), A, 20)
    splice.check(450)
    expect(left()).toEqual([])
    splice.check(501)
    expect(left()).toEqual([1, 1])
    splice.input(frame(2, 1), A, 510)
    expect(left().length).toBe(3)
    splice.output(frame(0, 2), A, 520)
    expect(splice.late).toBe(1)
    splice.input(frame(3, 1), A, 530)
    expect(left().length).toBe(3)
    splice.output(frame(3, 2), A, 540)
    expect(left()).toEqual([1, 1, 1, 2])
    expect(whole()).toBe(true)
  })

  test('is waited for twice its usual time', () => {
    const { splice, left } = open()
    splice.input(frame(0, 1), A, 0)
    splice.output(frame(0, 2), A, 400)
    splice.input(frame(1, 1), A, 500)
    splice.check(1200)
    expect(left()).toEqual([2])
    splice.check(1301)
    expect(left()).toEqual([2, 1])
  })

  test('that has gone releases its pending frames at once', () => {
    const { splice, left } = open()
    splice.input(frame(0, 1), A, 0)
    splice.input(frame(1, 1), A, 0)
    splice.abandon(A)
    expect(left()).toEqual([1, 1])
    expect(splice.unprocessed).toBe(2)
  })
})

test('outputs of the next pipeline wait for those of the previous one', () => {
  const { splice, left, whole } = open()
  splice.input(frame(0, 1), A, 0)
  splice.input(frame(1, 1), B, 20)
  splice.output(frame(1, 3), B, 25)
  expect(left()).toEqual([])
  expect(splice.waitsFor(A)).toBe(true)
  splice.output(frame(0, 2), A, 30)
  expect(left()).toEqual([2, 3])
  expect(whole()).toBe(true)
})

test('unprompted outputs follow with silence in between, but without it after a long gap', () => {
  const { splice, left, whole } = open()
  splice.output(frame(0, 2), A, 0)
  splice.output(frame(2, 2), A, 40)
  expect(left()).toEqual([2, 0, 2])
  expect(whole()).toBe(true)
  splice.output(frame(200, 2), A, 4000)
  expect(left()).toEqual([2, 0, 2, 2])
})

test('one channel leaves as two', () => {
  const out: AudioFrame[] = []
  const splice = new AudioSplice((one) => out.push(one))
  splice.input({ data: new Float32Array([0.5, 0.25]), sampleRate: 48_000, channels: 1, pts: 0 }, undefined, 0)
  expect([...out[0]!.data]).toEqual([0.5, 0.5, 0.25, 0.25])
})
