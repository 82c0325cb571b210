import { type Command, InvalidArgumentError } from 'commander'
import { pino } from 'pino'
import { AppError } from '../../core/errors.ts'
import { BROKEN_OFF, MAX_RATE, seconds, stagesOf } from '../arguments.ts'
import { type Surroundings, withSurroundings } from '../surroundings.ts'
import type { Size } from './measure.ts'

type Flags = { size: Size; fps: number; params?: string; timeout: number; json?: boolean }

export function addMeasure(program: Command): void {
  program
    .command('measure')
    .description('measure the cost of a frame, and whether the pipeline keeps up with a live stream')
    .argument('<pipeline>', 'name of the pipeline')
    .option('--size <width>x<height>', 'frame size, even', size, { width: 1280, height: 720 })
    .option('--fps <rate>', 'frame rate of the live stream', seconds(1, MAX_RATE), 30)
    .option('--params <json>', 'params of the pipeline')
    .option('--timeout <seconds>', 'time limit for one frame', seconds(0.001), 60)
    .option('--json', 'as JSON')
    .action((pipeline: string, flags: Flags) => withSurroundings((around) => run(pipeline, flags, around)))
}

async function run(pipeline: string, flags: Flags, { config, catalog, signal }: Surroundings): Promise<void> {
  const { measure } = await import('./measure.ts')
  const { tableOf } = await import('./table.ts')
  const log = pino({ level: 'silent' })
  const stages = stagesOf(catalog, pipeline, flags.params)
  const { findProgram } = await import('../../ffmpeg/probe.ts')
  const ffmpeg = await findProgram({ path: config.ffmpegPath, log })
  const { size, fps, timeout, json } = flags
  const { modelDir, maxPixels } = config
  const onLog = ({ level, message }: { level: string; message: string }) => {
    if (level === 'warn' || level === 'error') console.error(`  ${level}: ${message}`)
  }
  const limits = { maxPixels, frameMs: timeout * 1000, modelDir }
  try {
    const measured = await measure({ stages, ffmpeg, size, fps, ...limits, onLog }, { log, signal })
    console.log(json ? JSON.stringify(measured, rounded, 2) : tableOf(measured))
  } catch (thrown) {
    const error = AppError.from(thrown)
    if (signal.aborted) process.exitCode = BROKEN_OFF
    throw error.code === 'invalid-params' ? new AppError('invalid-request', error.message, { cause: error }) : error
  }
}

function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toFixed(3)) : value
}

function size(text: string): Size {
  const [, width, height] = /^(\d{1,4})x(\d{1,4})$/.exec(text.trim()) ?? []
  const sides = [Number(width), Number(height)] as const
  if (sides.every((side) => side >= 16 && side <= 3840 && side % 2 === 0)) return { width: sides[0], height: sides[1] }
  throw new InvalidArgumentError('accepted are even sides from 16 to 3840, such as 1280x720.')
}
