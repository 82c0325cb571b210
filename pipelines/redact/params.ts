import { BaseParams, z } from 'millrace/pipeline'

export const RedactParams = BaseParams.extend({
  threshold: z
    .number()
    .min(0.05)
    .max(0.95)
    .default(0.25)
    .describe('Minimum confidence that a point belongs to text; lower values find more'),
  blur: z
    .number()
    .min(0.25)
    .max(4)
    .default(1)
    .describe('Blur radius in line heights; below 0.75 large letters may stay legible'),
  padding: z.number().min(0).max(2).default(0.2).describe('Blurred margin around the text, in line heights'),
  detect_size: z
    .int()
    .min(160)
    .max(1920)
    .multipleOf(32)
    .default(640)
    .describe('Longer side of the model input in pixels; larger values find smaller text and take longer'),
  detect_every: z
    .int()
    .min(1)
    .max(10)
    .default(3)
    .describe('Run the model on every nth frame, and on each one in which anything but known text moved'),
  hold_ms: z
    .int()
    .min(0)
    .max(5000)
    .default(300)
    .describe(
      'How long text stays blurred after its last detection, in milliseconds, so that a missed one shows nothing',
    ),
  execution_provider: z
    .enum(['auto', 'cuda', 'cpu'])
    .default('auto')
    .describe('Execution provider; auto is CUDA if available, else the CPU'),
})
export type RedactParams = z.output<typeof RedactParams>
