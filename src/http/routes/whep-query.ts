import { z } from '@hono/zod-openapi'
import { VIEWS } from '../../stream/output/audience.ts'

/** What a viewer may say in the query of its URL. */
export const WhepQuery = z.object({
  view: z
    .enum(VIEWS)
    .default('output')
    .describe('What is shown: what the pipeline gives, or, small and without audio, what it is given.'),
})
