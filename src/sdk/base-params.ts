import { z } from 'zod'

const side = z.int().min(64).max(3840).multipleOf(2)

/**
 * The params that every pipeline has. Extend it: `BaseParams.extend({ strength: z.number().default(0.8) })`. Names are
 * snake_case because they are the names in the API.
 */
export const BaseParams = z.object({
  width: side
    .optional()
    .describe('Width of the input frames in pixels, even; set together with `height`, by default that of the source'),
  height: side
    .optional()
    .describe('Height of the input frames in pixels, even; set together with `width`, by default that of the source'),
  show_reloading_frame: z
    .boolean()
    .default(true)
    .describe('Show the overlay while the pipeline loads; false passes the input through meanwhile'),
})

/** A params schema: `BaseParams` or an extension of it. */
export type ParamsSchema = z.ZodType<z.output<typeof BaseParams>>

/** A validated params value of a schema, with its defaults filled in. */
export type ParamsOf<P extends ParamsSchema> = z.output<P>
