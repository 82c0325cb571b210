import type { Command } from 'commander'
import { pino } from 'pino'
import { AppError } from '../../core/errors.ts'
import { BROKEN_OFF, MAX_RATE, seconds, stagesOf } from '../arguments.ts'
import { type Surroundings, withSurroundings } from '../surroundings.ts'

type Flags = {
  output?: string
  params?: string
  start?: number
  duration?: number
  fps: number
  timeout: number
  keepGoing?: boolean
  data?: string
  json?: boolean
}

/** Exit code, beside 0, 1 for a failure and 2 for an invalid command line. */
const SOME_BROKEN = 3

export function addRun(program: Command): void {
  program
    .command('run')
    .description('process a file with a pipeline, every frame in order, as fast as possible')
    .argument('<pipeline>', 'name of a pipeline, or a chain such as redact,effects')
    .argument('<input>', 'a video or audio file, or a folder of images')
    .option(
      '-o, --output <file>',
      '.mp4, .mov, .mkv, .ts, .webm; .wav, .flac, .mp3, .m4a, .ogg, .opus for audio only; .raw, .yuv, .rgb, .rgba, .gray for raw frames; may be left out with --data',
    )
    .option('--params <json>', 'params of the pipeline')
    .option('--start <seconds>', 'start position in INPUT', seconds(0))
    .option('--duration <seconds>', 'length of INPUT to process', seconds(0.001))
    .option('--fps <rate>', 'frame rate of a folder of images', seconds(0.001, MAX_RATE), 30)
    .option('--timeout <seconds>', 'time limit for one frame', seconds(0.001), 60)
    .option('--data <file>', 'file for the data messages of the pipeline, one JSON line each')
    .option('--keep-going', `skip frames on which the pipeline throws, and exit with ${SOME_BROKEN}`)
    .option('--json', 'print events as JSON lines on stdout')
    .action((pipeline: string, input: string, flags: Flags) =>
      withSurroundings((around) => run(pipeline, input, flags, around)),
    )
}

async function run(
  pipeline: string,
  input: string,
  flags: Flags,
  { config, catalog, signal }: Surroundings,
): Promise<void> {
  const { runFile } = await import('./run.ts')
  const { JsonReport, TextReport } = await import('./report.ts')
  const { checkInput } = await import('./input.ts')
  const { checkOutput } = await import('./output.ts')
  const stages = stagesOf(catalog, pipeline, flags.params)
  const log = pino({ level: 'silent' })
  const report = flags.json ? new JsonReport(process.stdout) : new TextReport(process.stderr)
  try {
    checkInput(input)
    if (flags.output !== undefined) checkOutput(flags.output, input)
    else if (flags.data === undefined)
      throw new AppError('invalid-request', '-o OUTPUT is missing; it may be left out with --data FILE')
    const { findProgram } = await import('../../ffmpeg/probe.ts')
    const ffmpeg = await findProgram({ path: config.ffmpegPath, log })
    const { output, start, duration, fps, timeout, keepGoing = false, data } = flags
    const files = { input, output, part: { start, duration }, fps, data }
    const limits = { keepGoing, frameMs: timeout * 1000, modelDir: config.modelDir }
    const summary = await runFile({ stages, ffmpeg, ...files, ...limits }, report, { log, signal })
    report.done(summary)
    if (summary.broken > 0) process.exitCode = SOME_BROKEN
  } catch (thrown) {
    const error = AppError.from(thrown)
    report.failed(error.message)
    if (signal.aborted) process.exitCode = BROKEN_OFF
    throw error.code === 'invalid-params' ? new AppError('invalid-request', error.message, { cause: error }) : error
  } finally {
    report.close()
  }
}
