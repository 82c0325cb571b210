import { BaseParams, z } from 'millrace/pipeline'

export const RedactParams = BaseParams.extend({
  threshold: z
    .number()
    .min(0.05)
    .max(0.95)
    .default(0.25)
    .describe('How sure the model must be that a point belongs to text; less finds more'),
  blur: z
    .number()
    .min(0.25)
    .max(4)
    .default(1)
    .describe('How far the blur reaches, in heights of the line; below 0.75 large letters may be guessed'),
  padding: z.number().min(0).max(2).default(0.2).describe('What is blurred around the text, in heights of the line'),
  detect_size: z
    .int()
    .min(160)
    .max(1920)
    .multipleOf(32)
    .default(640)
    .describe('Longer side in pixels of what the model looks at; more finds smaller text and takes longer'),
  hold_ms: z
    .int()
    .min(0)
    .max(5000)
    .default(300)
    .describe('How long a place stays blurred after text was last seen there, so that one missed frame shows nothing'),
  execution_provider: z
    .enum(['auto', 'cuda', 'cpu'])
    .default('auto')
    .describe('What computes; auto is CUDA where it can be used, else the CPU'),
})
export type RedactParams = z.output<typeof RedactParams>
