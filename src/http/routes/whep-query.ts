import { z } from '@hono/zod-openapi'
import { VIEWS } from '../../stream/output/audience.ts'

/** Query options of a viewer's URL. */
export const WhepQuery = z.object({
  view: z.enum(VIEWS).default('output').describe('The output of the pipeline, or its input, small and without audio.'),
})
