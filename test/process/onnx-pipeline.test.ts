import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { OnnxPipeline } from 'millrace/onnx'
import { openPipeline, pipelineContract, runPipeline, testFrame } from 'millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Onnx } from '../../pipelines/onnx/index.ts'
import type { Graph } from '../helpers/package/onnx-writer.ts'
import { blur, DOUBLE, identity, NEGATIVE, writeModel } from '../helpers/package/test-models.ts'
import { pause, play, until } from './pipeline/support/hosts.ts'

let modelDir: string
beforeAll(() => {
  modelDir = mkdtempSync(join(tmpdir(), 'mr-models-'))
  writeModel(join(modelDir, 'negative.onnx'), NEGATIVE)
  writeModel(join(modelDir, 'double.onnx'), DOUBLE)
})
afterAll(() => rmSync(modelDir, { recursive: true, force: true }))

const small = { width: 96, height: 64, format: 'rgb24' } as const
const frame = testFrame(small)

/** Runs one frame and returns its only output. */
async function once(params: Record<string, unknown>, input = frame) {
  const { outputs, errors } = await runPipeline(Onnx, [input], params, { modelDir, settleMs: 10 })
  expect(errors).toEqual([])
  expect(outputs).toHaveLength(1)
  return outputs[0]!
}

describe('the contract, with a model', () => {
  const options = { params: { model: 'negative.onnx' }, change: { strength: 0.5 }, refused: { model: 'none.onnx' } }
  const paramsModule = new URL('../../src/sdk/onnx/params.ts', import.meta.url).href
  const settings = { ...options, paramsModule, frames: 3, settleMs: 30 }
  for (const { name } of pipelineContract(Onnx, settings)) {
    test(name, () =>
      pipelineContract(Onnx, { ...settings, modelDir })
        .find((one) => one.name === name)!
        .run(),
    )
  }
})

test('the model gets the frame, and its output becomes the frame', async () => {
  const output = await once({ model: 'negative.onnx' })
  expect(output).toMatchObject({ ...small, pts: frame.pts })
  expect([...output.data]).toEqual([...frame.data].map((value) => 255 - value))
})

test('a path relative to the root, and a size that is not a multiple of 32', async () => {
  const input = testFrame({ width: 98, height: 66, format: 'rgb24' })
  const output = await once({ model: join(modelDir, 'negative.onnx') }, input)
  expect(output).toMatchObject({ width: 98, height: 66 })
})

test('a package with its own model', async () => {
  class Own extends OnnxPipeline {
    static override base = pathToFileURL(join(modelDir, 'index.js')).href
  }
  const settings = { modelDir: '/nowhere', settleMs: 10 }
  const { outputs } = await runPipeline(Own, [frame], { model: './negative.onnx' }, settings)
  expect(outputs[0]?.data[0]).toBe(255 - frame.data[0]!)
  await expect(runPipeline(Own, [frame], { model: './no.onnx' }, settings)).rejects.toThrow(join(modelDir, 'no.onnx'))
})

test('layout, type and size are read from the model', async () => {
  const graphs: Graph[] = [
    identity([1, 3, 64, 96]),
    identity([1, 64, 96, 3]),
    identity([1, 64, 96, 3], 'uint8'),
    identity(['n', 'h', 'w', 3], 'float16'),
  ]
  for (const graph of graphs) {
    writeModel(join(modelDir, 'same.onnx'), graph)
    expect([...(await once({ model: 'same.onnx' })).data]).toEqual([...frame.data])
  }
})

test('normalised at the input, and back at the output', async () => {
  writeModel(join(modelDir, 'same.onnx'), identity([1, 3, 'h', 'w']))
  const params = { model: 'same.onnx', input_range: '-1..1', output_range: '-1..1', channels: 'bgr', fit: 'letterbox' }
  expect([...(await once(params)).data]).toEqual([...frame.data])
  const shifted = await once({ ...params, mean: [-1, -1, -1], std: [2, 2, 2], output_range: '0..1' })
  expect([...shifted.data]).toEqual([...frame.data])
})

test('an output of another size is scaled to the source, or left unscaled', async () => {
  expect(await once({ model: 'double.onnx' })).toMatchObject({ width: 96, height: 64 })
  const output = await once({ model: 'double.onnx', output_size: 'model' })
  expect(output).toMatchObject({ width: 192, height: 128 })
})

test('a single channel is returned in the format of the frame at any strength, with its range detected', async () => {
  writeModel(join(modelDir, 'gray.onnx'), identity([1, 1, 64, 96]))
  await using tested = await openPipeline(Onnx, { model: 'gray.onnx', output_range: 'auto' }, { modelDir })
  for (const strength of [1, 0.5, 0]) {
    await tested.update({ strength })
    await tested.put(frame)
  }
  await tested.settled()
  expect(tested.outputs.map(({ format, width, height }) => [format, width, height])).toEqual(
    Array(3).fill(['rgb24', 96, 64]),
  )
  const [whole, , none] = tested.outputs.map(({ data }) => data)
  expect([Math.min(...whole!), Math.max(...whole!)]).toEqual([0, 255])
  expect([...whole!.subarray(0, 3)]).toEqual(Array(3).fill(whole![0]))
  expect([...none!]).toEqual([...frame.data])
})

test('at the size of the model strength blends too, without changing the size', async () => {
  await using tested = await openPipeline(Onnx, { model: 'double.onnx', output_size: 'model' }, { modelDir })
  for (const strength of [1, 0.5, 0]) {
    await tested.update({ strength })
    await tested.put(frame)
  }
  await tested.settled()
  expect(tested.outputs.map(({ width, height }) => [width, height])).toEqual(Array(3).fill([192, 128]))
})

describe('integer masks', () => {
  /** Index of the largest channel: 0, 1 or 2. */
  const largest: Graph = {
    inputs: [{ name: 'in', dims: [1, 3, 'h', 'w'] }],
    outputs: [{ name: 'class', type: 'int64', dims: [1, 'h', 'w'] }],
    nodes: [{ op: 'ArgMax', inputs: ['in'], outputs: ['class'], attributes: { axis: 1, keepdims: 0 } }],
  }
  const cast = (type: 'int32' | 'bool' | 'float64' | 'int8', to: number): Graph => ({
    ...largest,
    outputs: [{ name: 'mask', type, dims: [1, 'h', 'w'] }],
    nodes: [...largest.nodes, { op: 'Cast', inputs: ['class'], outputs: ['mask'], attributes: { to } }],
  })
  const patch = { ...testFrame(small), data: new Uint8Array(small.width * small.height * 3) }
  patch.data.set([255, 0, 0], 0)
  patch.data.set([0, 255, 0], 3)
  patch.data.set([0, 0, 255], 6)

  test.each<[string, Graph, string, number[]]>([
    ['int64', largest, 'auto', [0, 128, 255]],
    ['int32', cast('int32', 6), 'auto', [0, 128, 255]],
    ['int8', cast('int8', 3), '0..1', [0, 255, 255]],
    ['float64', cast('float64', 11), 'auto', [0, 128, 255]],
    ['bool', cast('bool', 9), '0..255', [0, 255, 255]],
  ])('%s', async (_, graph, output_range, expected) => {
    writeModel(join(modelDir, 'mask.onnx'), graph)
    const { data } = await once({ model: 'mask.onnx', output_range, input_width: 96, input_height: 64 }, patch)
    for (const [at, value] of expected.entries()) expect(Math.abs(data[at * 3]! - value)).toBeLessThanOrEqual(1)
  })
})

describe('several outputs', () => {
  const several: Graph = {
    ...NEGATIVE,
    outputs: [{ name: 'sum', dims: [2] }, ...NEGATIVE.outputs, { name: 'same', dims: [1, 3, 'h', 'w'] }],
    constants: { ...NEGATIVE.constants, two: { dims: [2], values: [1, 2] } },
    nodes: [
      ...NEGATIVE.nodes,
      { op: 'Identity', inputs: ['in'], outputs: ['same'] },
      { op: 'Identity', inputs: ['two'], outputs: ['sum'] },
    ],
  }

  test('the first one that is an image is used, or the one named', async () => {
    writeModel(join(modelDir, 'several.onnx'), several)
    expect((await once({ model: 'several.onnx' })).data[0]).toBe(255 - frame.data[0]!)
    expect((await once({ model: 'several.onnx', output: 'same' })).data[0]).toBe(frame.data[0])
  })

  test('one that does not exist is refused at load, with a list of those that do', async () => {
    writeModel(join(modelDir, 'several.onnx'), several)
    const open = (params: object) => openPipeline(Onnx, { model: 'several.onnx', ...params }, { modelDir })
    await expect(open({ output: 'gone' })).rejects.toThrow(
      'the model has no output gone; it has sum (float32 2), out (float32 1x3x?x?), same (float32 1x3x?x?)',
    )
    await expect(open({ output: 'sum' })).rejects.toThrow("the model's output sum is float32 2, not a frame")
    writeModel(join(modelDir, 'm.onnx'), { ...several, outputs: [several.outputs[0]!] })
    await expect(openPipeline(Onnx, { model: 'm.onnx' }, { modelDir })).rejects.toThrow(
      'no output that is a frame of 1 or 3 channels; it has sum (float32 2)',
    )
  })

  test('a dynamic shape is determined at load', async () => {
    writeModel(join(modelDir, 'm.onnx'), {
      inputs: [{ name: 'in', dims: ['n', 3, 'h', 'w'] }],
      outputs: [{ name: 'out', dims: ['m', 3, 'h', 'w'] }],
      nodes: [{ op: 'Concat', inputs: ['in', 'in'], outputs: ['out'], attributes: { axis: 0 } }],
    })
    await expect(openPipeline(Onnx, { model: 'm.onnx' }, { modelDir })).rejects.toThrow(
      "the model's output is 2x3x256x256",
    )
  })
})

test('a model with external data in a file beside it', async () => {
  const constants = { one: { dims: [1], values: [1], file: 'weights.bin' } }
  writeModel(join(modelDir, 'outside.onnx'), { ...NEGATIVE, constants })
  await expect(openPipeline(Onnx, { model: 'outside.onnx' }, { modelDir })).rejects.toThrow('weights.bin')
  writeFileSync(join(modelDir, 'weights.bin'), new Uint8Array(Float32Array.of(1).buffer))
  expect([...(await once({ model: 'outside.onnx' })).data]).toEqual([...frame.data].map((value) => 255 - value))
})

test('strength blends, and can change between two frames', async () => {
  await using tested = await openPipeline(Onnx, { model: 'negative.onnx' }, { modelDir })
  for (const strength of [1, 0.5, 0]) {
    expect(await tested.update({ strength })).toBe('applied')
    await tested.put(frame)
  }
  await tested.settled()
  const [whole, half, none] = tested.outputs.map(({ data }) => data)
  expect([...none!]).toEqual([...frame.data])
  const middle = [...frame.data].map((value, i) => (value + whole![i]!) / 2)
  expect(Math.max(...middle.map((value, i) => Math.abs(value - half![i]!)))).toBeLessThanOrEqual(1)
  expect(await tested.update({ model: 'double.onnx' })).toBe('reloaded')
  await expect(tested.update({ model: 'gone.onnx' })).rejects.toThrow('there is no gone.onnx in MODEL_DIR')
})

test('a model slower than the stream gets the newest frame, and the delay stays constant', async () => {
  writeModel(join(modelDir, 'slow.onnx'), blur(15, 6))
  const params = { model: 'slow.onnx', input_width: 256, input_height: 256 }
  await using stage = await play('onnx', { params, modelDir })
  await until('the model', () => stage.source.outputs.length > 3, 60_000)
  await pause(3000)
  const { dropped, fps, inputFps, latencyMs } = stage.lease.stats()
  expect(fps).toBeLessThan(inputFps - 5)
  expect(dropped.beforePipeline).toBeGreaterThan(20)
  // A frame waits for the current run, and for its own.
  expect(latencyMs.p95).toBeLessThan(3000 / fps + 500)
  expect(stage.told.restarts).toEqual([])
  expect(stage.told.lines.join()).toContain('the model runs on the')
})

test('the default model detects text', async () => {
  const blank = testFrame({ width: 320, height: 96, format: 'rgb24' })
  blank.data.fill(255)
  const output = await once({}, blank)
  expect(output).toMatchObject({ format: 'rgb24', width: 320, height: 96 })
  expect(Math.max(...output.data)).toBeLessThan(64)
})

test.each<[string, Record<string, unknown>, Graph | undefined, string]>([
  ['no such file', { model: 'none.onnx' }, undefined, 'there is no none.onnx in MODEL_DIR'],
  ['out of MODEL_DIR', { model: '../x.onnx' }, undefined, '../x.onnx is not in MODEL_DIR'],
  ['another ending', { model: '/etc/passwd' }, undefined, 'must be the name of an .onnx or .ort file'],
  ['five channels', { model: 'm.onnx' }, identity([1, 5, 8, 8]), "the model's input is 1x5x8x8: 5 channels"],
  ['not a frame', { model: 'm.onnx' }, identity([4]), "the model's input is 4, not one frame"],
  [
    'two inputs',
    { model: 'm.onnx' },
    { ...NEGATIVE, inputs: [...NEGATIVE.inputs, { name: 'more', dims: [1] }] },
    'the model takes 2 inputs, not one frame',
  ],
])('%s is reported', async (_, params, graph, message) => {
  if (graph) writeModel(join(modelDir, 'm.onnx'), graph)
  await expect(runPipeline(Onnx, [frame], params, { modelDir })).rejects.toThrow(message)
})
