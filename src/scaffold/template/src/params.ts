import { BaseParams, z } from 'millrace/pipeline'

// In a file of its own, without heavy imports: it is read before the model loads.
export const MyPipelineParams = BaseParams.extend({
  strength: z.number().min(0).max(1).default(0.8).describe('From 0, the frame as it came, to 1, its negative'),
})
export type MyPipelineParams = z.output<typeof MyPipelineParams>
