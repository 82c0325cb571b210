import { BaseParams, definePipeline, type VideoFrame, z } from 'millrace/pipeline'
import { chromaOf } from './colour.ts'
import { edges } from './edges.ts'
import { pixelate } from './pixelate.ts'
import { blend, grayscale, invert, tint } from './tables.ts'

export const EffectsParams = BaseParams.extend({
  effect: z
    .enum(['none', 'grayscale', 'invert', 'edges', 'pixelate', 'tint'])
    .default('none')
    .describe('Effect on the frame'),
  strength: z.number().min(0).max(1).default(1).describe('Strength of the effect; 0 leaves the frame unchanged'),
  tint: z
    .string()
    .regex(/^#[0-9a-fA-F]{6}$/, 'a colour as #rrggbb')
    .default('#ff7a00')
    .describe('Colour of the tint effect, as #rrggbb'),
})
type EffectsParams = z.output<typeof EffectsParams>

/** A new frame with the effect; the input is not changed. */
export function applyEffect(frame: VideoFrame, { effect, strength, tint: colour }: EffectsParams): VideoFrame {
  if (effect === 'none' || strength === 0) return frame
  const { width, height } = frame
  switch (effect) {
    case 'grayscale':
      return { ...frame, data: grayscale(frame, strength) }
    case 'invert':
      return { ...frame, data: invert(frame, strength) }
    case 'tint':
      return { ...frame, data: tint(frame, chromaOf(colour), strength) }
    case 'edges':
      return { ...frame, data: edges(frame, strength) }
    case 'pixelate':
      // The block size is a share of the frame, so that the effect looks alike at any resolution.
      return { ...frame, data: pixelate(frame, blend(2, Math.max(4, Math.min(width, height) / 12), strength)) }
  }
}

export const Effects = definePipeline({
  description: 'Grayscale, invert, edges, pixelate or tint, with a strength',
  params: EffectsParams,
  input: { format: 'yuv420p' },
  load: () => ({ process: applyEffect }),
})
