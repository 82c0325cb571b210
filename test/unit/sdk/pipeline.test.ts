import { setTimeout as wait } from 'node:timers/promises'
import { BaseParams, definePipeline, OutputQueue, Reload, type VideoFrame, VideoOutput, z } from 'millrace/pipeline'
import { describe, expect, test } from 'vitest'

const frame = (pts: number): VideoFrame => ({ data: new Uint8Array(4), format: 'gray', width: 2, height: 2, pts })
const output = (pts: number) => new VideoOutput(frame(pts), 'r')
const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
const context = { name: 'test', log, modelDir: '/nowhere', signal: new AbortController().signal }

describe('VideoOutput', () => {
  test.each<[Partial<VideoFrame>, string]>([
    [{ data: new Uint8Array(3) }, 'data has 3 bytes where 2x2 gray takes 4'],
    [{ data: [1, 2, 3, 4] as never }, 'data must be a Uint8Array'],
    [{ format: 'bgr' as never }, 'format must be one of yuv420p, rgb24, rgba, gray, not bgr'],
    [{ width: 0 }, 'width must be a whole number from 1 to 8192, not 0'],
    [{ height: 2.5 }, 'height must be'],
    [{ pts: Number.NaN }, 'pts must be a whole number of 90 kHz ticks'],
    [{ pts: undefined as never }, 'pts must be'],
  ])('%j is refused with the reason', (wrong, message) => {
    expect(() => new VideoOutput({ ...frame(1), ...wrong }, 'r')).toThrow(message)
  })
})

describe('OutputQueue', () => {
  test('delivers outputs in order, to the longest waiting first', async () => {
    const queue = new OutputQueue()
    const early = [queue.get(), queue.get()]
    for (const pts of [1, 2, 3]) queue.put(output(pts))
    const got = await Promise.all([...early, queue.get()])
    expect(got.map(({ frame: { pts } }) => pts)).toEqual([1, 2, 3])
  })

  test('is bounded: the oldest is dropped and counted', async () => {
    const queue = new OutputQueue(2)
    const tally: string[] = []
    queue.onTally = (what) => tally.push(what)
    for (const pts of [1, 2, 3]) queue.put(output(pts))
    expect(tally).toEqual(['put', 'put', 'put', 'lost'])
    expect((await queue.get()).frame.pts).toBe(2)
    queue.clear()
    expect(queue.size).toBe(0)
    expect(tally.at(-1)).toBe('lost')
  })

  test('accepts nothing else', () => {
    expect(() => new OutputQueue().put(frame(1) as never)).toThrow('takes a VideoOutput')
  })
})

describe('definePipeline', () => {
  const Params = BaseParams.extend({ model: z.string().default('small'), gain: z.number().default(1) })
  const parse = (values: object) => Params.parse(values)

  function open(process: (frame: VideoFrame) => VideoFrame | VideoFrame[] | undefined) {
    const told: string[] = []
    const Defined = definePipeline({
      params: Params,
      input: { format: 'gray' },
      description: 'a test',
      load: async ({ model }) => {
        told.push(`load ${model}`)
        if (model === 'broken') throw new Error('no such model')
        return {
          process: (input, { gain }) => {
            told.push(`process ${gain}`)
            return process(input)
          },
          update: ({ gain }) => {
            if (gain < 0) throw new Error('too little')
          },
          stop: () => void told.push(`stop ${model}`),
        }
      },
      reloadWhen: (now, next) => now.model !== next.model,
    })
    return { told, Defined, pipeline: new Defined() }
  }

  test('makes a class from its definition', () => {
    const { Defined } = open((input) => input)
    expect(Defined.Params).toBe(Params)
    expect(Defined.input).toEqual({ format: 'gray' })
    expect(Defined.description).toBe('a test')
  })

  test('one frame, several or none', async () => {
    const { pipeline } = open((input) => (input.pts === 1 ? undefined : [frame(input.pts), frame(input.pts + 1)]))
    await pipeline.initialize(parse({}), context)
    await pipeline.putVideoFrame(frame(1), 'r')
    expect(pipeline.outputs.size).toBe(0)
    await pipeline.putVideoFrame(frame(2), 'r')
    expect(pipeline.outputs.size).toBe(2)
    expect(await pipeline.getProcessedVideoFrame()).toMatchObject({ frame: { pts: 2 }, requestId: 'r' })
  })

  test('when one of several outputs is invalid, none is delivered', async () => {
    const { pipeline } = open((input) => [input, { ...input, width: 9 }])
    await pipeline.initialize(parse({}), context)
    await expect(pipeline.putVideoFrame(frame(1), 'r')).rejects.toThrow('9x2 gray')
    expect(pipeline.outputs.size).toBe(0)
  })

  test('new params apply to the next frame, refused ones do not', async () => {
    const { pipeline, told } = open((input) => input)
    await pipeline.initialize(parse({}), context)
    expect(await pipeline.updateParams(parse({ gain: 2 }))).toBeUndefined()
    await pipeline.putVideoFrame(frame(1), 'r')
    await expect(pipeline.updateParams(parse({ gain: -1 }))).rejects.toThrow('too little')
    await pipeline.putVideoFrame(frame(2), 'r')
    expect(told).toEqual(['load small', 'process 2', 'process 2'])
  })

  test('reloadWhen loads again, and stops the model first', async () => {
    const { pipeline, told } = open((input) => input)
    await pipeline.initialize(parse({}), context)
    const reload = await pipeline.updateParams(parse({ model: 'large', gain: 3 }))
    expect(reload).toBeInstanceOf(Reload)
    await wait(1)
    expect(told).toEqual(['load small'])
    await (reload as Reload).work()
    await pipeline.putVideoFrame(frame(1), 'r')
    await pipeline.stop()
    expect(told).toEqual(['load small', 'stop small', 'load large', 'process 3', 'stop large'])
  })

  test('stop before load does nothing', async () => {
    await open((input) => input).pipeline.stop()
  })
})

describe('BaseParams', () => {
  test('has defaults, and a describable API', () => {
    expect(BaseParams.parse({})).toEqual({ show_reloading_frame: true })
    expect(BaseParams.parse({ width: 640, height: 360, other: 1 })).toEqual({
      width: 640,
      height: 360,
      show_reloading_frame: true,
    })
    expect(z.toJSONSchema(BaseParams, { io: 'input' })).toMatchObject({
      properties: {
        width: {
          type: 'integer',
          minimum: 64,
          maximum: 3840,
          multipleOf: 2,
          description: expect.any(String),
        },
      },
    })
  })
})
