import { setTimeout as sleep } from 'node:timers/promises'
import { coveredBy } from '../../pipelines/redact/boxes.ts'
import type { TextDetector } from '../../pipelines/redact/text-detector.ts'
import { TsReader } from '../../src/codec/mpegts/reader.ts'
import type { VideoFrame } from '../../src/core/media/frame.ts'
import type { EncodedPacket } from '../../src/core/media/packet.ts'
import { openVideoDecoder } from '../../src/ffmpeg/decoder/decoder.ts'
import { useServerSdk } from '../../src/pipeline/runner/author.ts'
import { record } from '../../test/helpers/media/record.ts'
import { waitFor } from '../../test/helpers/wait.ts'
import type { Benchmark, Budget, Options } from '../lib/benchmark.ts'
import { benchFfmpeg } from '../lib/contenders/ffmpeg-contender.ts'
import { benchServer, ServedStream } from '../lib/contenders/server-contender.ts'
import { inRealTime } from '../lib/media/feed.ts'
import { type Size, sizesNamed } from '../lib/media/sizes.ts'
import { type TextScene, textScene } from '../lib/media/text-scene.ts'
import { FPS, FRAME_TICKS, isVideo } from '../lib/media/units.ts'
import { cpuMs } from '../lib/processes.ts'
import { SILENT } from '../lib/silent.ts'

/** By then the model is loaded and the encoder's rate has settled. */
const WARM_UP_MS = 5000
/** Number of frames of each run that the judge reads, at a tenth of a second each. */
const JUDGED = 24
/** Looks closer than the pipeline does by default. */
const JUDGE = { size: 960, threshold: 0.3, padding: 0 }
/** Share of a line's box that the judge must find again for the line to count as found. */
const SEEN = 0.2
const BUDGET = { size: '720p', fps: 29.5, found: 0.05 }

export type RedactRun = {
  size: string
  detectEvery: number
  /** Processed frames per second; 30 go in. */
  fps: number
  /** Share of input frames that the pipeline never got. */
  dropped: number
  pipelineP50: number
  totalP50: number
  /** Of the pipeline's process, per processed frame. */
  cpuMsPerFrame: number
  /** Lines of text in the judged frames before processing. */
  lines: number
  /** Share of these found in the output. */
  found: number
}

async function openJudge(): Promise<TextDetector> {
  // `millrace/…` in a pipeline resolves to this SDK.
  useServerSdk()
  const { TextDetector } = await import('../../pipelines/redact/text-detector.ts')
  const { signal } = new AbortController()
  return TextDetector.open('cpu', { name: 'judge', modelDir: '/', log: SILENT, signal })
}

/** Frames of a recording by number. */
async function decoded(recording: Buffer, size: Size, wanted: (number: number) => boolean) {
  const reader = new TsReader()
  const all: EncodedPacket[] = [...reader.push(recording), ...reader.flush()]
  const packets = all.filter(isVideo)
  const frames = new Map<number, VideoFrame>()
  const [first] = packets
  if (!first) return frames
  const { width, height } = size
  const onFrame = (frame: VideoFrame) => {
    const number = Math.round(frame.pts / FRAME_TICKS)
    if (wanted(number)) frames.set(number, frame)
  }
  const options = {
    ffmpeg: await benchFfmpeg(),
    track: first.track,
    format: 'yuv420p',
    size: { width, height },
  } as const
  await using decoder = await openVideoDecoder({ ...options, onFrame }, { log: SILENT })
  decoder.replay(packets)
  decoder.end()
  await decoder.closed
  return frames
}

/** Publishes the scene for `seconds`, and evaluates the output. */
export async function redactLive(
  scene: TextScene,
  params: { detect_every: number },
  options: Options,
): Promise<RedactRun> {
  const { size } = scene.units
  const seconds = options.seconds ?? 10
  await using opened = new AsyncDisposableStack()
  const server = opened.use(await benchServer(options, { VIDEO_BITRATE_KBPS: String(size.kbps * 2) }))
  const stream = opened.use(new ServedStream(server.url, 'bench', { pipeline: 'redact', params }))
  const stop = new AbortController()
  const feeding = inRealTime((number) => stream.write(scene.units.at(number), number), { signal: stop.signal })
  opened.defer(async () => {
    stop.abort()
    await feeding
  })
  let came = 0
  await stream.watch(() => came++)
  await waitFor('redacted frames', async () => (await stream.status()).inference.fps > 0)
  await sleep(WARM_UP_MS)
  const look = async () => {
    const status = await stream.status()
    return { status, came, cpu: cpuMs(status.processes.pipeline ?? 0) }
  }
  const before = await look()
  const recording = opened.use(await record(`${server.url}/out/bench.ts`))
  await sleep(seconds * 1000)
  const after = await look()
  recording.stop()
  const dropped = after.status.dropped.beforePipeline - before.status.dropped.beforePipeline
  // A frame that the pipeline did not get was replaced by a drawn one.
  const processed = Math.max(0, after.came - before.came - dropped)
  const { pipeline, total } = after.status.latencyMs
  const figures = {
    size: size.name,
    detectEvery: params.detect_every,
    fps: processed / seconds,
    dropped,
    pipelineP50: pipeline.p50,
    totalP50: total.p50,
    cpuMsPerFrame: (after.cpu - before.cpu) / Math.max(1, processed),
  }
  // The judge uses CPU, so it reads after everything else has ended.
  await opened.disposeAsync()
  return { ...figures, ...(await judged(recording.bytes(), scene, seconds)) }
}

async function judged(recording: Buffer, scene: TextScene, seconds: number) {
  const every = Math.max(1, Math.floor((seconds * FPS) / JUDGED))
  const outputs = await decoded(recording, scene.units.size, (number) => number % every === 0)
  const judge = await openJudge()
  let [lines, found] = [0, 0]
  try {
    for (const [number, output] of outputs) {
      const before = await judge.find(scene.frame(number), JUDGE)
      const after = await judge.find(output, JUDGE)
      lines += before.length
      found += before.filter((box) => coveredBy(box, after) > SEEN).length
    }
  } finally {
    await judge.close()
  }
  // Without a reading there is no result.
  return { lines, found: lines > 0 ? found / lines : Number.NaN }
}

export const redact: Benchmark = {
  name: 'redact',
  about:
    'Lines of text that move through a live stream at 30 a second: does redact keep pace, and can any be read after it',
  async run(options, say) {
    const { repeat = 1, sizes = ['720p'] } = options
    const runs: RedactRun[] = []
    for (const size of sizesNamed(sizes)) {
      const scene = await textScene(size)
      for (let round = 0; round < repeat; round++) {
        for (const detect_every of [3, 1]) {
          const run = await redactLive(scene, { detect_every }, options)
          runs.push(run)
          say(
            `${size.name}, the model at one of ${detect_every}: ${run.fps.toFixed(1)} fps, p50 ${run.totalP50} ms, ${(run.found * 100).toFixed(1)} % of ${run.lines} lines found`,
          )
        }
      }
    }
    return { budgets: budgets(runs), tables: [redactTable(runs)], plots: [], samples: runs }
  },
}

function budgets(runs: RedactRun[]): Budget[] {
  const usual = runs.filter(({ size, detectEvery }) => size === BUDGET.size && detectEvery > 1)
  if (usual.length === 0) return []
  return [
    {
      what: 'redact at 720p30, the model at one frame of three',
      limit: BUDGET.fps,
      value: Math.min(...usual.map(({ fps }) => fps)),
      unit: 'fps',
      atLeast: true,
    },
    {
      what: 'text found afterwards',
      limit: BUDGET.found,
      value: Math.max(...usual.map(({ found }) => found)),
      unit: 'of the lines',
    },
  ]
}

export function redactTable(runs: RedactRun[]) {
  return {
    title: 'Live text through redact, 30 frames a second',
    columns: [
      'size',
      'the model at one of',
      'fps',
      'dropped',
      'pipeline p50, ms',
      'in all p50, ms',
      'CPU a frame, ms',
      'lines',
      'found afterwards, %',
    ],
    rows: runs.map((run) => [
      run.size,
      run.detectEvery,
      run.fps,
      run.dropped,
      run.pipelineP50,
      run.totalP50,
      run.cpuMsPerFrame,
      run.lines,
      Number((run.found * 100).toFixed(2)),
    ]),
    note: 'CPU of the pipeline’s process. Found by the same model, which then looks at half as many pixels more each way than the pipeline does; lines counts those that it finds in the frames before.',
  }
}
