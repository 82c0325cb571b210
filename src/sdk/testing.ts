/** Runs pipelines without a server: `millrace/testing`. */
import type { PipelineClass } from './pipeline-class.ts'
import { type RunOptions, TestedPipeline, type Values } from './testing/run.ts'

export { type TestAudioOptions, testAudio, testAudioFor } from './testing/audio.ts'
export { type ContractCase, type ContractOptions, pipelineContract } from './testing/contract.ts'
export { type TestFrameOptions, testFrame, testFrames } from './testing/frames.ts'
export {
  type LogLine,
  type PipelineRun,
  type RunOptions,
  runPipeline,
  type TestedPipeline,
  type Values,
} from './testing/run.ts'

/**
 * Loads a pipeline for a test that gives it frames and changes of params one by one; `runPipeline` is shorter for a
 * plain run.
 */
export function openPipeline(author: PipelineClass, params?: Values, options?: RunOptions): Promise<TestedPipeline> {
  return TestedPipeline.open(author, params, options)
}
