/** Models in the ONNX format: `millrace/onnx`. */
import type { Context } from '../core/resource.ts'
import { type ModelOptions, OnnxModel } from './onnx/model.ts'

export type { Placement } from './frame-scaler.ts'
export { type ModelOptions, OnnxModel } from './onnx/model.ts'
export { OnnxParams } from './onnx/params.ts'
export { OnnxPipeline } from './onnx/pipeline.ts'
export type { ExecutionProvider } from './onnx/provider.ts'
export type { Tensor, TensorData, TensorInfo, TensorType } from './onnx/tensor.ts'
export { type FrameOptions, type FrameTarget, type FrameTensorType, TensorFrame } from './onnx/tensor-frame.ts'
export { packageFile } from './package-file.ts'

/**
 * Loads a model. `context` is the one passed to `initialize` or `load`. Rejects with `pipeline-failed` if the file or
 * the requested provider cannot be used.
 */
export function openModel(options: ModelOptions, context: Context): Promise<OnnxModel> {
  return OnnxModel.open(options, context)
}
