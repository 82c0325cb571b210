import { frameBytes, planes, type VideoFrame } from 'millrace/pipeline'
import { describe, expect, test } from 'vitest'
import { applyEffect, EffectsParams } from './index.ts'

const EFFECTS = ['grayscale', 'invert', 'edges', 'pixelate', 'tint'] as const

/** A frame in which every byte differs from its neighbours in a known way. */
function testFrame(width: number, height: number): VideoFrame {
  const data = new Uint8Array(frameBytes('yuv420p', width, height))
  for (let at = 0; at < data.length; at++) data[at] = 16 + ((at * 37) % 220)
  return { data, format: 'yuv420p', width, height, pts: 9000 }
}

const apply = (frame: VideoFrame, params: Record<string, unknown>) => applyEffect(frame, EffectsParams.parse(params))

describe.each(EFFECTS)('%s', (effect) => {
  test.each([
    [64, 64],
    [65, 67],
    [2, 2],
    [1, 1],
    [1280, 720],
  ])('changes a frame of %i x %i, keeps its shape and time, and leaves the input alone', (width, height) => {
    const frame = testFrame(width, height)
    const before = frame.data.slice()
    const output = apply(frame, { effect })
    expect(output).toMatchObject({ format: 'yuv420p', width, height, pts: 9000 })
    expect(output.data.length).toBe(frame.data.length)
    expect(frame.data).toEqual(before)
    if (width > 2) expect(output.data).not.toEqual(before)
  })

  test('does nothing at strength 0, and less at a half than at the whole', () => {
    const frame = testFrame(128, 96)
    expect(apply(frame, { effect, strength: 0 })).toBe(frame)
    const change = (strength: number) => distance(apply(frame, { effect, strength }).data, frame.data)
    expect(change(0.5)).toBeGreaterThan(0)
    expect(change(0.5)).toBeLessThan(change(1))
  })
})

test('none gives the very frame back', () => {
  const frame = testFrame(64, 64)
  expect(apply(frame, {})).toBe(frame)
})

test('grayscale takes the colour and keeps the light', () => {
  const frame = testFrame(64, 64)
  const { y, u, v } = planes(apply(frame, { effect: 'grayscale' }))
  expect(y).toEqual(planes(frame).y)
  expect([...new Set([...u, ...v])]).toEqual([128])
})

test('invert twice is the frame again', () => {
  const frame = testFrame(64, 64)
  expect(apply(apply(frame, { effect: 'invert' }), { effect: 'invert' }).data).toEqual(frame.data)
})

test('tint turns white to red chroma when asked for red', () => {
  const { u, v } = planes(apply(testFrame(64, 64), { effect: 'tint', tint: '#ff0000' }))
  expect(u[0]).toBe(90)
  expect(v[0]).toBe(240)
})

test('pixelate makes blocks of one colour, whole to the last row', () => {
  const frame = testFrame(96, 97)
  const { y } = planes(apply(frame, { effect: 'pixelate' }))
  for (let row = 0; row < 8; row++) expect(new Set(y.subarray(row * 96, row * 96 + 8))).toEqual(new Set([y[0]]))
  expect(y.subarray(96 * 96, 96 * 96 + 8)).not.toContain(0)
})

test('edges finds the border between two surfaces and nothing within them', () => {
  const frame = testFrame(64, 64)
  const luma = planes(frame).y
  for (let at = 0; at < luma.length; at++) luma[at] = at % 64 < 32 ? 40 : 200
  const { y } = planes(apply(frame, { effect: 'edges' }))
  expect([y[640 + 10], y[640 + 31], y[640 + 32], y[640 + 50]]).toEqual([16, 235, 235, 16])
})

test('params are checked', () => {
  expect(EffectsParams.safeParse({ effect: 'sparkle' }).success).toBe(false)
  expect(EffectsParams.safeParse({ strength: 1.5 }).success).toBe(false)
  expect(EffectsParams.safeParse({ tint: 'red' }).success).toBe(false)
})

function distance(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((sum, value, at) => sum + Math.abs(value - b[at]!), 0)
}
