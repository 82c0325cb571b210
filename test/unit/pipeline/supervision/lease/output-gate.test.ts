import { expect, test } from 'vitest'
import { frameBytes, type PixelFormat } from '../../../../../src/core/media/frame.ts'
import { OutputGate } from '../../../../../src/pipeline/supervision/lease/output-gate.ts'

function output(pts: number, { epoch = 1, width = 4, height = 4, format = 'gray' as PixelFormat } = {}) {
  return { frame: { data: new Uint8Array(frameBytes(format, width, height)), format, width, height, pts }, epoch }
}

test('outputs pass in order, each once', () => {
  const gate = new OutputGate()
  gate.offered(9000)
  expect([1000, 2000, 2000, 1500, 3000].map((pts) => gate.refusal(output(pts), 1))).toEqual([
    undefined,
    undefined,
    '',
    '',
    undefined,
  ])
})

test('a frame replaced by the overlay is not shown again', () => {
  const gate = new OutputGate()
  gate.offered(5000)
  gate.replaced(5000)
  expect(gate.refusal(output(4000), 1)).toBe('')
  gate.offered(6000)
  expect(gate.refusal(output(6000), 1)).toBeUndefined()
})

test('outputs of an earlier load or from the future are refused', () => {
  const gate = new OutputGate()
  gate.offered(1001)
  expect(gate.refusal(output(500, { epoch: 0 }), 1)).toBe('')
  expect(gate.refusal(output(1000), 1)).toBeUndefined()
  expect(gate.refusal(output(91_002), 1)).toContain('after the newest input')
  expect(gate.refusal(output(91_000), 1)).toBeUndefined()
})

test('outputs may change their resolution and pixel format at any time', () => {
  const gate = new OutputGate()
  gate.offered(9000)
  const changing = [
    output(1000),
    output(2000, { width: 8 }),
    output(3000, { format: 'rgb24' }),
    output(4000, { height: 6, format: 'yuv420p' }),
    output(5000),
  ]
  expect(changing.map((one) => gate.refusal(one, 1))).toEqual(changing.map(() => undefined))
})
