/** Everything that a pipeline author imports: `millrace/pipeline`. */
export { z } from 'zod'
export type { Log } from '../core/log.ts'
export type { AudioFrame } from '../core/media/audio.ts'
export {
  chromaSize,
  frameBytes,
  PIXEL_FORMATS,
  type PixelFormat,
  planes,
  type VideoFrame,
} from '../core/media/frame.ts'
export { AudioPipeline } from './audio/audio-pipeline.ts'
export { AudioOutput } from './audio/output.ts'
export type { AudioSpec } from './audio/spec.ts'
export { BaseParams, type ParamsOf, type ParamsSchema } from './base-params.ts'
export {
  type AudioFunction,
  definePipeline,
  type Loaded,
  type LoadedAudio,
  type PipelineDefinition,
  type ProcessedAudio,
} from './define-pipeline.ts'
export { type DownloadOptions, download } from './download.ts'
export { OutputQueue } from './output-queue.ts'
export { type InputSpec, Pipeline, type PipelineClass, type PipelineContext, Reload } from './pipeline-class.ts'
export type { BatchItem, Processed } from './processed.ts'
export { VideoOutput } from './video-output.ts'
