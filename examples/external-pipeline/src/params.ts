import { BaseParams, z } from 'millrace/pipeline'

export const LOOKS = ['warm', 'cold', 'noir'] as const
export type Look = (typeof LOOKS)[number]

// In a file of its own, without heavy imports: it is read before anything is loaded.
export const FilmLookParams = BaseParams.extend({
  look: z.enum(LOOKS).default('warm').describe('The kind of film; another one is loaded under the overlay'),
  strength: z.number().min(0).max(1).default(1).describe('From 0, the frame as it came, to 1, the whole look'),
})
export type FilmLookParams = z.output<typeof FilmLookParams>
