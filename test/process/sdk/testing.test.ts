import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { BaseParams, definePipeline, Pipeline, type PipelineClass, VideoOutput, z } from 'millrace/pipeline'
import {
  type ContractOptions,
  openPipeline,
  pipelineContract,
  runPipeline,
  testFrame,
  testFrames,
} from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import type { VideoFrame } from '../../../src/core/media/frame.ts'

const Params = BaseParams.extend({ add: z.int().min(0).max(255).default(1).describe('Added to every sample') })
type Params = z.output<typeof Params>

const add = (frame: VideoFrame, amount: number) => ({ ...frame, data: frame.data.map((value) => value + amount) })

const Add = definePipeline({
  params: Params,
  input: { format: 'gray' },
  load: () => ({
    process: (frame, params) => add(frame, params.add),
    update(params) {
      if (params.add === 13) throw new Error('not thirteen')
    },
  }),
})

describe('runPipeline', () => {
  test('returns the outputs in order', async () => {
    const frames = testFrames(Add, 3)
    const { outputs, errors } = await runPipeline(Add, frames, { add: 2 })
    expect(errors).toEqual([])
    expect(outputs).toEqual(frames.map((frame) => add(frame, 2)))
  })

  test('errors of the pipeline are reported, and the run continues', async () => {
    const Odd = definePipeline({
      load: (_, { log, name }) => {
        log.info({ name }, 'loaded')
        return {
          process(frame) {
            if (frame.pts % 6000 === 0) throw new Error('even')
            return frame
          },
        }
      },
    })
    const { outputs, errors, logs } = await runPipeline(Odd, testFrames(Odd, 4), {}, { name: 'odd-one' })
    expect(outputs.map(({ pts }) => pts)).toEqual([3000, 9000])
    expect(errors).toEqual([new Error('even'), new Error('even')])
    expect(logs).toEqual([{ level: 'info', message: 'loaded', fields: { name: 'odd-one' } }])
  })

  test('late outputs are waited for', async () => {
    class Late extends Pipeline {
      override async putVideoFrame(frame: VideoFrame, requestId: string) {
        void sleep(30).then(() => this.outputs.put(new VideoOutput(frame, requestId)))
      }
    }
    expect((await runPipeline(Late, testFrames(Late, 3))).outputs).toHaveLength(3)
  })

  test('invalid params, a failing load, frames of another format', async () => {
    await expect(runPipeline(Add, [], { add: 300 })).rejects.toThrow(/params are not valid: add: /)
    const Broken = definePipeline({
      load: () => {
        throw new Error('no model')
      },
    })
    await expect(runPipeline(Broken, [])).rejects.toThrow('no model')
    await expect(runPipeline(Add, [testFrame({ format: 'rgb24' })])).rejects.toThrow(
      'asks for gray, the frame is rgb24',
    )
  })

  test('a method that hangs is named', async () => {
    const Hangs = definePipeline({ load: () => new Promise<never>(() => {}) })
    await expect(runPipeline(Hangs, [], {}, { limitMs: 20 })).rejects.toThrow('initialize() took longer than 20 ms')
  })
})

test('openPipeline: frames and changes step by step', async () => {
  await using tested = await openPipeline(Add)
  await tested.put(testFrame({ format: 'gray' }))
  expect(await tested.update({ add: 5 })).toBe('applied')
  await expect(tested.update({ add: 13 })).rejects.toThrow('not thirteen')
  await expect(tested.update({ add: -1 })).rejects.toThrow('params are not valid')
  expect(tested.params).toMatchObject({ add: 5 })
  await tested.put(testFrame({ format: 'gray' }))
  await tested.settled()
  expect(tested.outputs.map(({ data }) => data[0])).toEqual([236, 240])
  expect(await tested.close()).toBeLessThan(1000)
})

test('testFrame: the same bytes for the same options, others for another number', () => {
  for (const format of ['yuv420p', 'rgb24', 'rgba', 'gray'] as const) {
    const options = { format, width: 65, height: 33, number: 2 }
    expect(testFrame(options)).toEqual(testFrame(options))
    expect(testFrame({ ...options, number: 3 }).data).not.toEqual(testFrame(options).data)
    expect(testFrame(options).pts).toBe(6000)
  }
})

describe('pipelineContract', () => {
  for (const { name, run } of pipelineContract(Add, { change: { add: 9 }, refused: { add: 13 } })) test(name, run)

  /** The failing cases, with their messages. */
  async function failures(author: PipelineClass, options: ContractOptions = {}): Promise<Record<string, string>> {
    const found: Record<string, string> = {}
    for (const { name, run } of pipelineContract(author, { frames: 3, settleMs: 10, ...options }))
      await run().catch((error: Error) => {
        found[name] = error.message
      })
    return found
  }
  const frames = 'frames come out with their time, in a size and format that can be sent'

  test('params without a description, in camelCase, or without defaults are reported', async () => {
    const schema = 'its params extend BaseParams, are described, and have a JSON Schema'
    const mute = definePipeline({
      params: BaseParams.extend({ x: z.number().default(1) }),
      load: () => ({ process: (f) => f }),
    })
    expect((await failures(mute))[schema]).toContain('params without .describe')
    const odd = definePipeline({
      params: BaseParams.extend({ myX: z.number().default(1).describe('x') }),
      load: () => ({ process: (f) => f }),
    })
    expect((await failures(odd))[schema]).toContain('snake_case')
    const needy = definePipeline({
      params: BaseParams.extend({ path: z.string().describe('x') }),
      load: () => ({ process: (f) => f }),
    })
    expect(Object.keys(await failures(needy))).toContain('it works without params')
    expect(await failures(needy, { params: { path: 'a' } })).toEqual({})
  })

  test('wrong timestamps, wrong sizes, missing outputs', async () => {
    const late = definePipeline({ load: () => ({ process: (frame) => ({ ...frame, pts: frame.pts + 1 }) }) })
    expect((await failures(late))[frames]).toContain('which none of the inputs has')
    const small = definePipeline({
      load: () => ({ process: (frame) => testFrame({ width: 64, height: 64, pts: frame.pts }) }),
    })
    expect((await failures(small))[frames]).toContain('outputs have another size')
    expect(await failures(small, { resizes: true })).toEqual({})
    const none = definePipeline({ load: () => ({ process: () => null }) })
    expect((await failures(none))[frames]).toBe('0 outputs of 3 frames')
    expect(await failures(none, { minOutputs: 0 })).toEqual({})
  })

  test('one that keeps the size of its first frame', async () => {
    const sticky = definePipeline({
      load: () => {
        let first: VideoFrame | undefined
        return {
          process(frame) {
            first ??= frame
            if (frame.data.length !== first.data.length) throw new RangeError('not my size')
            return frame
          },
        }
      },
    })
    expect((await failures(sticky))['streams of several sizes follow each other']).toContain('with frames of 128x192')
  })

  test('one that is half changed when a change fails', async () => {
    class Half extends Pipeline<typeof Params> {
      static override Params = Params
      #add = 0
      override async initialize(params: Params) {
        this.#add = params.add
      }
      override async putVideoFrame(frame: VideoFrame, requestId: string) {
        this.outputs.put(new VideoOutput(add(frame, this.#add), requestId))
      }
      override async updateParams(params: Params) {
        this.#add = params.add
        if (params.add === 13) throw new Error('not thirteen')
      }
    }
    expect(await failures(Half, { refused: { add: 13 } })).toEqual({
      'a change that fails leaves it as it was': 'the refused change shows in the frame',
    })
  })

  test('state shared through the module', async () => {
    let shared = 0
    const Global = definePipeline({
      params: Params,
      load: (params) => {
        shared = params.add
        return {
          process: (frame) => add(frame, shared),
          update(params) {
            shared = params.add
          },
        }
      },
    })
    expect(await failures(Global, { change: { add: 9 } })).toEqual({
      'two of them share nothing': 'another one in the same process shows in the frame',
    })
  })

  test('a slow stop', async () => {
    const slow = definePipeline({ load: () => ({ process: (frame) => frame, stop: () => sleep(2100) }) })
    const stop = pipelineContract(slow).find(({ name }) => name === 'it stops in time')!
    await expect(stop.run()).rejects.toThrow('ended by force')
  })

  test('params that are expensive to import', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mr-params-'))
    try {
      const importing = async (code: string) => {
        const file = join(folder, `p${code.length}.mjs`)
        writeFileSync(file, `import { BaseParams } from 'millrace/pipeline'\n${code}\nexport const P = BaseParams`)
        const cases = pipelineContract(Add, { paramsModule: pathToFileURL(file).href })
        return cases.find(({ name }) => name === 'importing its params is cheap')!.run()
      }
      await importing('')
      // In CPU time, since a busy machine distorts wall-clock time.
      const burn = 'const spent = () => process.cpuUsage().user; const end = spent() + 1e6; while (spent() < end);'
      await expect(importing(burn)).rejects.toThrow('of processor time: import heavy packages in initialize()')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
