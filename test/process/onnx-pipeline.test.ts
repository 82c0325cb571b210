import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { OnnxPipeline } from 'millrace/onnx'
import { openPipeline, pipelineContract, runPipeline, testFrame } from 'millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Onnx } from '../../pipelines/onnx/index.ts'
import type { Graph } from '../helpers/onnx-writer.ts'
import { blur, DOUBLE, identity, NEGATIVE, writeModel } from '../helpers/test-models.ts'
import { pause, play, until } from './pipeline/support.ts'

let modelDir: string
beforeAll(() => {
  modelDir = mkdtempSync(join(tmpdir(), 'mr-models-'))
  writeModel(join(modelDir, 'negative.onnx'), NEGATIVE)
  writeModel(join(modelDir, 'double.onnx'), DOUBLE)
})
afterAll(() => rmSync(modelDir, { recursive: true, force: true }))

const small = { width: 96, height: 64, format: 'rgb24' } as const
const frame = testFrame(small)

/** The one frame that comes of one. */
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

test('the model sees the frame, and the frame shows what it made', async () => {
  const output = await once({ model: 'negative.onnx' })
  expect(output).toMatchObject({ ...small, pts: frame.pts })
  expect([...output.data]).toEqual([...frame.data].map((value) => 255 - value))
})

test('a path from the root, and a size that is no multiple of 32', async () => {
  const input = testFrame({ width: 98, height: 66, format: 'rgb24' })
  const output = await once({ model: join(modelDir, 'negative.onnx') }, input)
  expect(output).toMatchObject({ width: 98, height: 66 })
})

test('a package with a model of its own', async () => {
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

test('normalised on the way in, and back', async () => {
  writeModel(join(modelDir, 'same.onnx'), identity([1, 3, 'h', 'w']))
  const params = { model: 'same.onnx', input_range: '-1..1', output_range: '-1..1', channels: 'bgr', fit: 'letterbox' }
  expect([...(await once(params)).data]).toEqual([...frame.data])
  const shifted = await once({ ...params, mean: [-1, -1, -1], std: [2, 2, 2], output_range: '0..1' })
  expect([...shifted.data]).toEqual([...frame.data])
})

test('an output of another size is scaled to the source, or left as it is', async () => {
  expect(await once({ model: 'double.onnx' })).toMatchObject({ width: 96, height: 64 })
  const output = await once({ model: 'double.onnx', output_size: 'model' })
  expect(output).toMatchObject({ width: 192, height: 128 })
})

test('one channel comes out as gray, with its range found', async () => {
  writeModel(join(modelDir, 'gray.onnx'), identity([1, 1, 64, 96]))
  const output = await once({ model: 'gray.onnx', output_range: 'auto' })
  expect(output.format).toBe('gray')
  expect([Math.min(...output.data), Math.max(...output.data)]).toEqual([0, 255])
})

test('strength mixes, and changes between two frames', async () => {
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

test('a model slower than the stream gets the newest frame, and the delay stays', async () => {
  writeModel(join(modelDir, 'slow.onnx'), blur(15, 6))
  const params = { model: 'slow.onnx', input_width: 256, input_height: 256 }
  await using stage = await play('onnx', { params, modelDir })
  await until('the model', () => stage.source.outputs.length > 3, 60_000)
  await pause(3000)
  const { dropped, fps, inputFps, latencyMs } = stage.lease.stats()
  expect(fps).toBeLessThan(inputFps - 5)
  expect(dropped.beforePipeline).toBeGreaterThan(20)
  // A frame waits for the run before it, and for its own.
  expect(latencyMs.p95).toBeLessThan(3000 / fps + 500)
  expect(stage.told.restarts).toEqual([])
  expect(stage.told.lines.join()).toContain('the model runs on the')
})

test('the default model shows where text is', async () => {
  const blank = testFrame({ width: 320, height: 96, format: 'rgb24' })
  blank.data.fill(255)
  const output = await once({}, blank)
  expect(output).toMatchObject({ format: 'gray', width: 320, height: 96 })
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
])('%s is told', async (_, params, graph, message) => {
  if (graph) writeModel(join(modelDir, 'm.onnx'), graph)
  await expect(runPipeline(Onnx, [frame], params, { modelDir })).rejects.toThrow(message)
})
