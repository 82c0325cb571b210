import { BaseParams, z } from 'millrace/pipeline'

// In its own file without heavy imports, because it is imported before the model loads.
export const MyPipelineParams = BaseParams.extend({
  strength: z.number().min(0).max(1).default(0.8).describe('From 0, the original frame, to 1, its negative'),
})
export type MyPipelineParams = z.output<typeof MyPipelineParams>
