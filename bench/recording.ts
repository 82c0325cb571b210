import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordingStatus } from '../src/recording/recording.ts'
import { ffmpegPath, ffprobePath } from '../test/helpers/binaries.ts'
import { readMarker } from '../test/helpers/marker.ts'
import { decodeAudio, decodeNumbers, type NumberedFrame } from '../test/helpers/media/probe-ts.ts'
import { record } from '../test/helpers/media/record.ts'
import { runTool } from '../test/helpers/run-tool.ts'
import { httpJson } from '../test/helpers/server/http.ts'
import { type Stage, setStage } from '../test/helpers/server/stage.ts'
import { waitFor } from '../test/helpers/wait.ts'
import type { Benchmark } from './lib/benchmark.ts'
import { median, quantile } from './lib/statistics.ts'

const CLIP = { width: 320, height: 180, fps: 30, gop: 30, kbps: 400, audio: 'flash-beep' } as const
const TICKS = 90_000
/** Seconds of clip beyond the recording. */
const SLACK_SECONDS = 60
const LIMIT_MS = 600_000
/** Positions in the recording to seek to. */
const SEEKS = [0.03, 0.25, 0.5, 0.77, 0.98]
/** Frame size for reading numbers; the strip is a sixth of the height. */
const READ = { width: 360, height: 240, strip: 40 }

type Files = {
  /** The recording. */
  recorded: string
  /** Everything that left the stream meanwhile. */
  shown: string
}

/** Records the output of a stream for `seconds`; `finish` ends that, normally or not. */
async function run(
  folder: string,
  seconds: number,
  finish: (stage: Stage, id: string) => Promise<unknown>,
): Promise<Files> {
  const dir = await mkdtemp(join(folder, 'recordings-'))
  const stage = await setStage({ env: { RECORD_DIR: dir, VIDEO_BITRATE_KBPS: '500' } })
  await stage.publish('demo', await stage.clip({ ...CLIP, seconds: seconds + SLACK_SECONDS }))
  await using out = await record(`${stage.url}/out/demo.ts`)
  await waitFor('the output', () => out.bytes().length > 20_000)
  const recordings = `${stage.url}/streams/demo/recordings`
  const { json } = await httpJson<RecordingStatus>('POST', recordings, { body: {} })
  await sleep(seconds * 1000)
  const [now] = (await httpJson<RecordingStatus[]>('GET', recordings)).json
  await finish(stage, json.id)
  out.stop()
  const shown = join(dir, 'shown.ts')
  await writeFile(shown, out.bytes())
  await Promise.resolve(stage[Symbol.asyncDispose]()).catch((thrown: Error) => {
    // A killed server cannot be stopped.
    if (stage.server.exit?.signal !== 'SIGKILL') throw thrown
  })
  return { recorded: join(dir, now!.files[0]!), shown }
}

const numbersIn = async (file: string): Promise<NumberedFrame[]> => await decodeNumbers(file, { limitMs: LIMIT_MS })

/** ffprobe's frame count when it decodes everything, and each track's length by its last packet. */
async function probe(file: string): Promise<{ frames: number; videoSeconds: number; audioSeconds: number }> {
  const entries = 'stream=codec_type,nb_read_frames,duration'
  const args = ['-v', 'error', '-count_frames', '-show_entries', entries, '-of', 'json', file]
  const [json] = await runTool(ffprobePath(), args, { limitMs: LIMIT_MS })
  const { streams } = JSON.parse(String(json)) as {
    streams: { codec_type: string; nb_read_frames: string; duration: string }[]
  }
  const of = (kind: string) => streams.find(({ codec_type }) => codec_type === kind)
  return {
    frames: Number(of('video')?.nb_read_frames),
    videoSeconds: Number(of('video')?.duration),
    audioSeconds: Number(of('audio')?.duration),
  }
}

/** Delay of each beep after its flash, in milliseconds. */
async function beepDelays(file: string, frames: readonly NumberedFrame[]): Promise<number[]> {
  const beeps: number[] = []
  let loudAt = Number.NEGATIVE_INFINITY
  for (const { pts, samples } of await decodeAudio(file)) {
    samples.forEach((sample, at) => {
      if (Math.abs(sample) < 2000) return
      const now = pts + (at * TICKS) / 48_000
      if (now - loudAt > TICKS / 2) beeps.push(now)
      loudAt = now
    })
  }
  const flashes = frames.filter(({ number }) => number !== undefined && number % CLIP.fps === 0)
  // A recording may begin within a flash.
  return flashes.slice(1).map(({ pts }) => {
    const delays = beeps.map((beep) => ((beep - pts) * 1000) / TICKS)
    return delays.reduce((best, one) => (Math.abs(one) < Math.abs(best) ? one : best), Number.POSITIVE_INFINITY)
  })
}

/** How many frames the frame shown after a seek is off, and how long the seek took. */
async function seek(file: string, frames: readonly NumberedFrame[], part: number): Promise<[number, number]> {
  const first = frames[0]!.pts
  const at = (frames.at(-1)!.pts - first) * part
  const began = performance.now()
  const filter = `crop=iw:trunc(ih/6):0:0,scale=${READ.width}:${READ.strip}:flags=area,format=gray`
  const [luma] = await runTool(ffmpegPath(), [
    ...['-v', 'error', '-ss', String(at / TICKS), '-i', file, '-frames:v', '1'],
    ...['-vf', filter, '-f', 'rawvideo', 'pipe:1'],
  ])
  const ms = performance.now() - began
  const number = readMarker(luma!, READ.width, READ.height)
  // By position, because a busy machine skips numbers.
  const wanted = frames.findIndex(({ pts }) => pts - first >= at - 1)
  const shown = frames.findIndex((frame) => frame.number === number)
  return [shown < 0 || number === undefined ? Number.NaN : Math.abs(shown - wanted), ms]
}

/** A recording that ends normally. */
async function whole(folder: string, seconds: number) {
  const { recorded, shown } = await run(folder, seconds, (stage, id) =>
    httpJson('DELETE', `${stage.url}/streams/demo/recordings/${id}`),
  )
  const [frames, sent, probed] = [await numbersIn(recorded), await numbersIn(shown), await probe(recorded)]
  const numbers = frames.map(({ number }) => number)
  const all = sent.map(({ number }) => number)
  const between = all.slice(all.indexOf(numbers[0]), all.lastIndexOf(numbers.at(-1)) + 1)
  const delays = await beepDelays(recorded, frames)
  const seeks: [number, number][] = []
  for (const part of SEEKS) seeks.push(await seek(recorded, frames, part))
  return {
    ...probed,
    left: between.length,
    missing: between.length - numbers.length,
    isSame: JSON.stringify(numbers) === JSON.stringify(between),
    beeps: delays.length,
    beepMedianMs: median(delays),
    beepWorstMs: Math.max(...delays.map(Math.abs)),
    seekFrames: Math.max(...seeks.map(([off]) => off)),
    seekMs: quantile(
      seeks.map(([, ms]) => ms),
      0.5,
    ),
  }
}

/** A recording whose server is killed: how much of the output is missing in the file, in milliseconds. */
async function killed(folder: string, seconds: number) {
  const { recorded, shown } = await run(folder, seconds, async ({ server }) => {
    process.kill(server.pid, 'SIGKILL')
    await server.closed
  })
  const [kept, sent, { frames }] = [await numbersIn(recorded), await numbersIn(shown), await probe(recorded)]
  const last = sent.at(-1)?.number ?? Number.NaN
  return { frames, lostMs: ((last - (kept.at(-1)?.number ?? Number.NaN)) * 1000) / CLIP.fps }
}

export const recording: Benchmark = {
  name: 'recording',
  about: 'A recording of ten minutes with audio, and one whose server is killed in the middle: whether all is in them',
  async run({ minutes = 10 }, say) {
    const folder = await mkdtemp(join(tmpdir(), 'mr-bench-recording-'))
    try {
      const [one, other] = await Promise.all([whole(folder, minutes * 60), killed(folder, minutes * 30)])
      say(JSON.stringify({ one, other }))
      return {
        budgets: [
          { what: 'frames that left the stream and are not in the file', limit: 0, value: one.missing, unit: 'frames' },
          { what: 'furthest that a beep is from its flash', limit: 40, value: one.beepWorstMs, unit: 'ms' },
          { what: 'furthest that a jump is off', limit: 1, value: one.seekFrames, unit: 'frames' },
          { what: 'lost by kill -9', limit: 1000, value: other.lostMs, unit: 'ms' },
        ],
        tables: [
          {
            title: `${minutes} minutes of ${CLIP.width}x${CLIP.height} at ${CLIP.fps} frames a second, H.264 and Opus`,
            columns: ['what', 'value'],
            rows: [
              ['frames that left the stream', one.left],
              ['frames that ffprobe decodes', one.frames],
              ['the same ones, in the same order', one.isSame ? 'yes' : 'no'],
              ['video and audio, s', `${one.videoSeconds.toFixed(2)} and ${one.audioSeconds.toFixed(2)}`],
              [`beep behind flash, median of ${one.beeps}, ms`, one.beepMedianMs.toFixed(1)],
              ['the furthest, ms', one.beepWorstMs.toFixed(1)],
              [`frames off after a jump, worst of ${SEEKS.length}`, one.seekFrames],
              ['a jump by ffmpeg, median, ms', one.seekMs.toFixed(0)],
              [`killed after ${minutes / 2} minutes: frames that ffprobe decodes`, other.frames],
              ['what had left and is not in the file, ms', other.lostMs.toFixed(0)],
            ],
            note: 'Both are recorded at the same time, by two servers.',
          },
        ],
        plots: [],
        samples: { whole: one, killed: other },
      }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}
