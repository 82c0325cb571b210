import { z } from 'zod'

const side = z.int().min(64).max(3840).multipleOf(2)

/**
 * What every pipeline's params begin with; extend it: `BaseParams.extend({ strength: z.number().default(0.8) })`.
 * Names are snake_case, since they are the names on the wire.
 */
export const BaseParams = z.object({
  width: side
    .optional()
    .describe('Width in pixels of the frames the pipeline gets, even; with `height`, else the size of the source'),
  height: side
    .optional()
    .describe('Height in pixels of the frames the pipeline gets, even; with `width`, else the size of the source'),
  show_reloading_frame: z
    .boolean()
    .default(true)
    .describe('Show a frame that says so while the pipeline loads; false lets the input pass through meanwhile'),
})

/** A params schema: `BaseParams` or an extension of it. */
export type ParamsSchema = z.ZodType<z.output<typeof BaseParams>>

/** The value a params schema accepts, with its defaults filled in. */
export type ParamsOf<P extends ParamsSchema> = z.output<P>
