import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { z } from 'zod'
import type { VideoFrame } from '../../core/media/frame.ts'
import { audioProblem } from '../audio/output.ts'
import { BaseParams } from '../base-params.ts'
import { audioOf, type PipelineClass } from '../pipeline-class.ts'
import { frameProblem } from '../video-output.ts'
import { testAudioFor } from './audio.ts'
import { testFrames } from './frames.ts'
import { type RunOptions, runPipeline, TestedPipeline, type Values } from './run.ts'

export type ContractOptions = RunOptions & {
  /** Initial params of every case, for pipelines that need some. */
  params?: Values
  /** A change of params that the pipeline accepts. */
  change?: Values
  /** A change that the schema accepts and the pipeline refuses, such as the name of a missing model. */
  refused?: Values
  /** Frames given in each case; default 8. */
  frames?: number
  /** Minimum number of outputs for them; default as many as frames. */
  minOutputs?: number
  /** Whether outputs may differ from inputs in size; default false. */
  resizes?: boolean
  /** Whether equal frames with equal params give equal bytes; default true. */
  deterministic?: boolean
  /** URL (`import.meta.resolve('./params.ts')`) of a module that exports the params: importing it must be cheap. */
  paramsModule?: string
}

/** One requirement; `run` rejects with the reason if it is not met. */
export type ContractCase = { name: string; run(): Promise<void> }

/** How long a pipeline may take to stop before it is killed. */
const STOP_MS = 2000
const IMPORT_CPU_MS = 500
const IMPORT_WALL_MS = 10_000

/**
 * What the server expects of every pipeline, as cases for any test runner: `for (const { name, run } of
 * pipelineContract(MyPipeline)) test(name, run)`.
 */
export function pipelineContract(author: PipelineClass, options: ContractOptions = {}): ContractCase[] {
  const { params = {}, change, refused, paramsModule } = options
  const cases: ContractCase[] = [
    {
      name: 'its params extend BaseParams, are described, and have a JSON Schema',
      run: async () => checkSchema(author),
    },
    { name: 'params the schema refuses change nothing', run: () => checkInvalid(author, options) },
    { name: 'it stops in time', run: () => checkStop(author, options) },
  ]
  const ofVideo: ContractCase[] = [
    {
      name: 'frames come out with their time, in a size and format that can be sent',
      run: async () => checkOutputs(testFrames(author, options.frames ?? 8), await runAll(author, options), options),
    },
    { name: 'streams of several sizes follow each other', run: () => checkSizes(author, options) },
    { name: 'two of them share nothing', run: () => checkApart(author, options) },
  ]
  if (author.video) cases.push(...ofVideo)
  if (audioOf(author))
    cases.push({ name: 'audio comes out with its time, in order', run: () => checkAudio(author, options) })
  if (change) cases.push({ name: 'a change of params is applied', run: () => checkChange(author, options, change) })
  if (refused)
    cases.push({ name: 'a change that fails leaves it as it was', run: () => checkRefusal(author, options, refused) })
  if (paramsModule) cases.push({ name: 'importing its params is cheap', run: () => checkImport(paramsModule) })
  if (Object.keys(params).length === 0)
    cases.push({ name: 'it works without params', run: async () => void author.Params.parse({}) })
  return cases
}

function checkSchema(author: PipelineClass): void {
  const schema = z.toJSONSchema(author.Params, { io: 'input', unrepresentable: 'any' }) as {
    properties?: Record<string, { description?: string }>
  }
  const properties = schema.properties ?? {}
  const missing = Object.keys(BaseParams.shape).filter((key) => !(key in properties))
  assert.deepEqual(missing, [], 'Params must be made with BaseParams.extend; these are missing')
  const mute = Object.keys(properties).filter((key) => !properties[key]?.description)
  assert.deepEqual(mute, [], 'params without .describe(…), which the page shows')
  const odd = Object.keys(properties).filter((key) => !/^[a-z][a-z0-9_]*$/.test(key))
  assert.deepEqual(odd, [], 'names of params are in snake_case')
}

async function runAll(
  author: PipelineClass,
  options: ContractOptions,
  frames = testFrames(author, options.frames ?? 8),
) {
  const { outputs, errors } = await runPipeline(author, frames, options.params, options)
  assert.deepEqual(errors, [], 'putVideoFrame or getProcessedVideoFrame threw')
  return outputs
}

function checkOutputs(inputs: VideoFrame[], outputs: VideoFrame[], options: ContractOptions): void {
  const { minOutputs = inputs.length, resizes = false } = options
  assert.ok(outputs.length >= minOutputs, `${outputs.length} outputs of ${inputs.length} frames`)
  const times = new Set(inputs.map(({ pts }) => pts))
  const { width, height } = inputs[0]!
  let last = Number.NEGATIVE_INFINITY
  for (const output of outputs) {
    assert.equal(frameProblem(output), undefined)
    assert.ok(times.has(output.pts), `an output has the time ${output.pts}, which none of the inputs has`)
    assert.ok(output.pts >= last, `an output of time ${output.pts} came after one of ${last}`)
    last = output.pts
    if (!resizes) assert.deepEqual([output.width, output.height], [width, height], 'outputs have another size')
  }
}

async function checkSizes(author: PipelineClass, options: ContractOptions): Promise<void> {
  const { width: fixed } = author.input ?? {}
  const sizes = fixed ? [{}] : [{}, { width: 128, height: 192 }, { width: 322, height: 182 }, {}]
  await using tested = await TestedPipeline.open(author, options.params, options)
  for (const size of sizes) {
    tested.outputs.length = 0
    const frames = testFrames(author, options.frames ?? 8, size)
    for (const frame of frames) await tested.put(frame)
    await tested.settled()
    assert.deepEqual(tested.errors, [], `with frames of ${frames[0]!.width}x${frames[0]!.height}`)
    checkOutputs(frames, tested.outputs, options)
  }
}

async function checkInvalid(author: PipelineClass, options: ContractOptions): Promise<void> {
  await using tested = await TestedPipeline.open(author, options.params, options)
  const before = tested.params
  for (const wrong of [{ width: 63, height: 64 }, { width: 'wide' }, { show_reloading_frame: 'perhaps' }])
    await assert.rejects(tested.update(wrong), /params are not valid/, `${JSON.stringify(wrong)} is accepted`)
  assert.equal(tested.params, before)
  await checkWorks(author, tested, options)
}

async function checkWorks(author: PipelineClass, tested: TestedPipeline, options: ContractOptions) {
  if (!author.video) return await checkAudioWorks(author, tested, options)
  tested.outputs.length = 0
  const frames = testFrames(author, options.frames ?? 8)
  for (const frame of frames) await tested.put(frame)
  await tested.settled()
  assert.deepEqual(tested.errors, [])
  checkOutputs(frames, tested.outputs, options)
  return tested.outputs.slice()
}

async function checkAudio(author: PipelineClass, options: ContractOptions): Promise<void> {
  await using tested = await TestedPipeline.open(author, options.params, options)
  await checkAudioWorks(author, tested, options)
}

/** Without video there are no output frames. */
async function checkAudioWorks(author: PipelineClass, tested: TestedPipeline, options: ContractOptions) {
  const before = tested.audio.length
  const frames = testAudioFor(author, options.frames ?? 8)
  for (const frame of frames) await tested.putAudio(frame)
  await tested.settled()
  assert.deepEqual(tested.errors, [], 'putAudioFrame or getProcessedAudioFrame threw')
  let last = Number.NEGATIVE_INFINITY
  for (const output of tested.audio.slice(before)) {
    assert.equal(audioProblem(output), undefined)
    assert.ok(output.pts > last, `audio of time ${output.pts} came after that of ${last}`)
    last = output.pts
  }
  return [] as VideoFrame[]
}

async function checkChange(author: PipelineClass, options: ContractOptions, change: Values): Promise<void> {
  await using tested = await TestedPipeline.open(author, options.params, options)
  await checkWorks(author, tested, options)
  await tested.update(change)
  await checkWorks(author, tested, options)
  await tested.update(Object.fromEntries(Object.keys(change).map((key) => [key, options.params?.[key]])))
  await checkWorks(author, tested, options)
}

async function checkRefusal(author: PipelineClass, options: ContractOptions, refused: Values): Promise<void> {
  await using tested = await TestedPipeline.open(author, options.params, options)
  const before = await checkWorks(author, tested, options)
  await assert.rejects(tested.update(refused), `updateParams accepts ${JSON.stringify(refused)}`)
  same(before, await checkWorks(author, tested, options), options, 'the refused change shows in the frame')
}

async function checkApart(author: PipelineClass, options: ContractOptions): Promise<void> {
  const frames = testFrames(author, options.frames ?? 8)
  const alone = await runAll(author, options, frames)
  await using one = await TestedPipeline.open(author, options.params, options)
  await using other = await TestedPipeline.open(author, options.params, options)
  if (options.change) await other.update(options.change)
  for (const frame of frames) {
    await other.put(frame)
    await one.put(frame)
  }
  await one.settled()
  assert.deepEqual(one.errors, [])
  same(alone, one.outputs, options, 'another one in the same process shows in the frame')
}

function same(
  a: VideoFrame[],
  b: VideoFrame[],
  { deterministic = true, minOutputs }: ContractOptions,
  what: string,
): void {
  if (!deterministic || minOutputs !== undefined) return
  assert.equal(a.length, b.length, what)
  a.forEach((frame, i) => {
    assert.ok(Buffer.compare(frame.data, b[i]!.data) === 0, what)
  })
}

async function checkStop(author: PipelineClass, options: ContractOptions): Promise<void> {
  const tested = await TestedPipeline.open(author, options.params, options)
  // Stopped while a frame is being processed, as when the server shuts down.
  const [audio] = testAudioFor(author, 1)
  const busy = author.video ? tested.put(testFrames(author, 1)[0]!) : audio && tested.putAudio(audio)
  const ms = await tested.close()
  await busy
  assert.ok(ms < STOP_MS, `stop() took ${Math.round(ms)} ms, after ${STOP_MS} it is ended by force`)
}

async function checkImport(module: string): Promise<void> {
  const script = new URL(import.meta.url.endsWith('.ts') ? './import.ts' : './import.js', import.meta.url)
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(script), module], { timeout: 60_000 })
  const { wallMs, cpuMs } = JSON.parse(stdout.slice(stdout.lastIndexOf('{'))) as { wallMs: number; cpuMs: number }
  const advice = 'import heavy packages in initialize() or load(), not at the top of the module'
  assert.ok(cpuMs < IMPORT_CPU_MS, `importing ${module} took ${Math.round(cpuMs)} ms of processor time: ${advice}`)
  assert.ok(wallMs < IMPORT_WALL_MS, `importing ${module} took ${Math.round(wallMs)} ms: ${advice}`)
}
