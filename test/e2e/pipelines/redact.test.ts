import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { TextDetector } from '../../../pipelines/redact/text-detector.ts'
import { frameBytes, type VideoFrame } from '../../../src/core/media/frame.ts'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { record } from '../../helpers/media/record.ts'
import { textFrame, WORDS } from '../../helpers/media/text-frames.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { setStage } from '../../helpers/server/stage.ts'

const [WIDTH, HEIGHT, FPS, SECONDS] = [1280, 720, 30, 4]
const BYTES = frameBytes('yuv420p', WIDTH, HEIGHT)

/** A clip with lines of text that move in every direction. */
async function makeTextClip(file: string): Promise<void> {
  const raw = ['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${WIDTH}x${HEIGHT}`, '-r', String(FPS), '-i', 'pipe:0']
  const coded = ['-c:v', 'libx264', '-preset', 'ultrafast', '-crf', '18', '-g', String(FPS), '-bf', '0', '-y', file]
  const ffmpeg = spawn(ffmpegPath(), ['-v', 'error', ...raw, ...coded], { stdio: ['pipe', 'ignore', 'inherit'] })
  for (let number = 0; number < FPS * SECONDS; number++) {
    const room = ffmpeg.stdin.write(textFrame(WIDTH, HEIGHT, number, WORDS).data)
    if (!room) await once(ffmpeg.stdin, 'drain')
  }
  ffmpeg.stdin.end()
  const [code] = await once(ffmpeg, 'exit')
  if (code !== 0) throw new Error(`ffmpeg ended with ${code}`)
}

/** Every `step`th frame. */
async function frames(input: Buffer, step: number): Promise<VideoFrame[]> {
  const every = ['-vf', `select=not(mod(n\\,${step}))`, '-vsync', 'passthrough']
  const args = ['-v', 'error', '-i', 'pipe:0', ...every, '-f', 'rawvideo', '-pix_fmt', 'yuv420p', 'pipe:1']
  const [raw = Buffer.alloc(0)] = await runTool(ffmpegPath(), args, { input })
  return Array.from({ length: Math.floor(raw.length / BYTES) }, (_, i) => {
    const data = raw.subarray(i * BYTES, (i + 1) * BYTES)
    return { data, format: 'yuv420p', width: WIDTH, height: HEIGHT, pts: i } as const
  })
}

test('no text of a live 720p30 stream gets through, and the delay does not grow', async () => {
  await using stage = await setStage()
  const clip = join(stage.folder, 'text.ts')
  await makeTextClip(clip)
  const log = { info() {}, debug() {}, warn() {}, error() {}, child: () => log }
  const detector = await TextDetector.open('cpu', {
    name: 'judge',
    modelDir: '/',
    log,
    signal: new AbortController().signal,
  })
  const found = async (frames: VideoFrame[]) => {
    let count = 0
    for (const frame of frames) count += (await detector.find(frame, { size: 960, threshold: 0.3, padding: 0 })).length
    return count / frames.length
  }
  try {
    await stage.publish('demo', clip, { query: '?pipeline=redact', loop: 20 })
    await stage.waitForStatus('demo', 'the pipeline', ({ inference }) => inference.fps > 3)
    await sleep(2000)
    await using recording = await record(`${stage.url}/out/demo.ts`)
    await sleep(3000)
    const early = await stage.status('demo')
    await sleep(3000)
    const late = await stage.status('demo')
    recording.stop()
    const outputs = await frames(recording.bytes(), Math.ceil(late.inference.fps / 3))
    const inputs = (await Promise.all([0, 30, 60, 90].map((n) => textFrame(WIDTH, HEIGHT, n, WORDS)))) as VideoFrame[]
    const [before, after] = [await found(inputs), await found(outputs)]
    console.log(
      `redact at 720p30: ${late.inference.fps.toFixed(1)} fps, pipeline p50 ${late.latencyMs.pipeline.p50} ms ` +
        `p95 ${late.latencyMs.pipeline.p95} ms, total p50 ${late.latencyMs.total.p50} ms; ` +
        `texts found in a frame: ${before.toFixed(2)} before, ${after.toFixed(3)} after (${outputs.length} frames)`,
    )
    expect(outputs.length).toBeGreaterThan(6)
    expect(before).toBeGreaterThanOrEqual(4.5)
    expect(after / before).toBeLessThan(0.05)
    expect(late.latencyMs.pipeline.p50).toBeLessThan(early.latencyMs.pipeline.p50 * 1.5 + 50)
  } finally {
    await detector.close()
  }
})
