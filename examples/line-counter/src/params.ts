import { BaseParams, type ParamsOf, z } from 'millrace/pipeline'

export const LineCounterParams = BaseParams.extend({
  line: z.enum(['vertical', 'horizontal']).default('vertical').describe('Orientation of the line'),
  position: z.number().min(0).max(1).default(0.5).describe('Position from 0, the left or upper edge, to 1'),
  sensitivity: z
    .number()
    .min(4)
    .max(100)
    .default(24)
    .describe('Minimum brightness difference from the background, of 255'),
  min_size: z
    .number()
    .min(0.0005)
    .max(0.5)
    .default(0.004)
    .describe('Smallest object that counts, as a share of the frame'),
  draw: z.boolean().default(true).describe('Draw line, counts and boxes'),
})
export type LineCounterParams = ParamsOf<typeof LineCounterParams>
