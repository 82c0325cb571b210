import { expect, test } from 'vitest'
import { frameBytes, type PixelFormat } from '../../../../src/core/media/frame.ts'
import { OutputGate } from '../../../../src/pipeline/supervision/output-gate.ts'

function output(pts: number, { epoch = 1, width = 4, height = 4, format = 'gray' as PixelFormat } = {}) {
  return { frame: { data: new Uint8Array(frameBytes(format, width, height)), format, width, height, pts }, epoch }
}

test('outputs pass in order, each once', () => {
  const gate = new OutputGate()
  gate.offered(output(9000).frame)
  expect([1000, 2000, 2000, 1500, 3000].map((pts) => gate.refusal(output(pts), 1))).toEqual([
    undefined,
    undefined,
    '',
    '',
    undefined,
  ])
})

test('what was drawn instead is not shown again', () => {
  const gate = new OutputGate()
  gate.offered(output(5000).frame)
  gate.replaced(5000)
  expect(gate.refusal(output(4000), 1)).toBe('')
  gate.offered(output(6000).frame)
  expect(gate.refusal(output(6000), 1)).toBeUndefined()
})

test('outputs of an earlier load, of another shape, or from the future are refused', () => {
  const gate = new OutputGate()
  gate.offered(output(1001).frame)
  expect(gate.refusal(output(500, { epoch: 0 }), 1)).toBe('')
  expect(gate.refusal(output(1000), 1)).toBeUndefined()
  expect(gate.refusal(output(1100, { width: 8 }), 1)).toContain('8x4 gray where it was 4x4 gray')
  expect(gate.refusal(output(1100, { format: 'rgb24' }), 1)).toContain('4x4 rgb24')
  expect(gate.refusal(output(91_002), 1)).toContain('after the newest input')
  expect(gate.refusal(output(91_000), 1)).toBeUndefined()
})

test('when the source changes shape, outputs may follow, from that frame on', () => {
  const gate = new OutputGate()
  gate.offered(output(1000).frame)
  expect(gate.refusal(output(1000), 1)).toBeUndefined()
  gate.offered(output(2000, { width: 8 }).frame)
  expect(gate.refusal(output(1500, { width: 8 }), 1)).toContain('8x4')
  expect(gate.refusal(output(2000, { width: 8 }), 1)).toBeUndefined()
  expect(gate.refusal(output(3000), 1)).toContain('4x4 gray where it was 8x4 gray')
})
