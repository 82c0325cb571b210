import { AppError } from '../../core/errors.ts'
import type { Context } from '../../core/resource.ts'
import { testAudio } from '../../sdk/testing/audio.ts'
import type { StepperChain } from '../stepper-chain.ts'
import { difference, summary } from './statistics.ts'
import { usageOf } from './usage.ts'

/** Cost of a pipeline's audio, in frames of its own length. */
export type AudioCost = {
  frames: number
  /** Length of each frame, in milliseconds. */
  lengthMs: number
  channels: number
  /** Milliseconds until it has taken a frame and, if it outputs audio, given its output. */
  frameMs: { p50: number; p95: number; max: number }
  /** CPU time per frame, and CPUs that a live stream uses for its audio. */
  cpuMs?: number
  cpus?: number
  /** Whether 95 of 100 frames are done before the next one comes. */
  keepsUp: boolean
}

/** Frames before the measurement. */
const WARM_UP = 25
const FRAMES = 250
const MS = 6000
const LEAST = 50

/** Measured with a tone, frame by frame; undefined for a pipeline that takes no audio. */
export async function measureAudio(stepper: StepperChain, { signal }: Context): Promise<AudioCost | undefined> {
  if (!stepper.audio || !stepper.listens) return undefined
  const { frameMs: lengthMs, channels } = stepper.audio
  const tone = testAudio(WARM_UP + FRAMES, { frameMs: lengthMs, channels })
  const times: number[] = []
  let before = await usageOf(stepper.pids)
  let until = Number.POSITIVE_INFINITY
  for (const [at, frame] of tone.entries()) {
    if (signal?.aborted) throw new AppError('pipeline-failed', 'it was interrupted')
    if (at === WARM_UP) {
      before = await usageOf(stepper.pids)
      until = performance.now() + MS
    }
    const began = performance.now()
    const faults = [await stepper.putAudio(frame), (await stepper.answeredAudio()).fault]
    const fault = faults.find(Boolean)
    if (fault !== undefined) throw new AppError('pipeline-failed', `audio frame ${at + 1}: ${fault}`)
    if (at >= WARM_UP) times.push(performance.now() - began)
    if (times.length >= LEAST && performance.now() > until) break
  }
  await stepper.settled()
  const cpuMs = difference(before, await usageOf(stepper.pids), times.length)
  const cost = { frames: times.length, lengthMs, channels, ...summary(times, 1000 / lengthMs) }
  return { ...cost, ...(cpuMs !== undefined && { cpuMs, cpus: cpuMs / lengthMs }) }
}
