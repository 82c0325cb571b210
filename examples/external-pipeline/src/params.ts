import { BaseParams, z } from 'millrace/pipeline'

export const LOOKS = ['warm', 'cold', 'noir'] as const
export type Look = (typeof LOOKS)[number]

// In its own file without heavy imports, because it is imported before anything is loaded.
export const FilmLookParams = BaseParams.extend({
  look: z.enum(LOOKS).default('warm').describe('Film look; a change loads it under the overlay'),
  strength: z.number().min(0).max(1).default(1).describe('From 0, the original frame, to 1, the full look'),
})
export type FilmLookParams = z.output<typeof FilmLookParams>
