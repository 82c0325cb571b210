/** All that a pipeline's author imports: `millrace/pipeline`. */
export { z } from 'zod'
export type { Log } from '../core/log.ts'
export {
  chromaSize,
  frameBytes,
  PIXEL_FORMATS,
  type PixelFormat,
  planes,
  type VideoFrame,
} from '../core/media/frame.ts'
export { BaseParams, type ParamsOf, type ParamsSchema } from './base-params.ts'
export { definePipeline, type Loaded, type PipelineDefinition, type Processed } from './define-pipeline.ts'
export { type DownloadOptions, download } from './download.ts'
export { OutputQueue } from './output-queue.ts'
export { type InputSpec, Pipeline, type PipelineClass, type PipelineContext, Reload } from './pipeline-class.ts'
export { VideoOutput } from './video-output.ts'
