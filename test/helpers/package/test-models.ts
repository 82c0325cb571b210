import { writeFileSync } from 'node:fs'
import { type ElementType, type Graph, writeOnnx } from './onnx-writer.ts'

/** Negates frames with values from 0 to 1, of any size. */
export const NEGATIVE: Graph = {
  inputs: [{ name: 'in', dims: [1, 3, 'h', 'w'] }],
  outputs: [{ name: 'out', dims: [1, 3, 'h', 'w'] }],
  constants: { one: { dims: [], values: [1] } },
  nodes: [{ op: 'Sub', inputs: ['one', 'in'], outputs: ['out'] }],
}

/** Returns its input. */
export function identity(dims: (number | string)[], type: ElementType = 'float32'): Graph {
  return {
    inputs: [{ name: 'in', type, dims }],
    outputs: [{ name: 'out', type, dims }],
    nodes: [{ op: 'Identity', inputs: ['in'], outputs: ['out'] }],
  }
}

/** The mean over `size` x `size` neighbours, `layers` times: as slow as desired. */
export function blur(size: number, layers: number): Graph {
  const values = Array.from({ length: 9 * size * size }, (_, i) =>
    Math.floor(i / (size * size)) % 4 === 0 ? 1 / (size * size) : 0,
  )
  return {
    inputs: [{ name: 'in', dims: [1, 3, 'h', 'w'] }],
    outputs: [{ name: `x${layers}`, dims: [1, 3, 'h', 'w'] }],
    constants: { kernel: { dims: [3, 3, size, size], values } },
    nodes: Array.from({ length: layers }, (_, i) => ({
      op: 'Conv',
      inputs: [i === 0 ? 'in' : `x${i}`, 'kernel'],
      outputs: [`x${i + 1}`],
      attributes: { kernel_shape: [size, size], pads: Array(4).fill(size >> 1) as number[] },
    })),
  }
}

/** Doubles width and height. */
export const DOUBLE: Graph = {
  inputs: [{ name: 'in', dims: [1, 3, 'h', 'w'] }],
  outputs: [{ name: 'out', dims: [1, 3, 'H', 'W'] }],
  constants: { roi: { dims: [0], values: [] }, scales: { dims: [4], values: [1, 1, 2, 2] } },
  nodes: [{ op: 'Resize', inputs: ['in', 'roi', 'scales'], outputs: ['out'] }],
}

export function writeModel(file: string, graph: Graph): string {
  writeFileSync(file, writeOnnx(graph))
  return file
}
