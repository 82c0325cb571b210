import { BaseParams, definePipeline, type VideoFrame, z } from 'millrace/pipeline'
import { chromaOf } from './colour.ts'
import { edges } from './edges.ts'
import { pixelate } from './pixelate.ts'
import { blend, grayscale, invert, tint } from './tables.ts'

export const EffectsParams = BaseParams.extend({
  effect: z
    .enum(['none', 'grayscale', 'invert', 'edges', 'pixelate', 'tint'])
    .default('none')
    .describe('What is done to the frame'),
  strength: z.number().min(0).max(1).default(1).describe('From 0, the frame as it came, to 1, the whole effect'),
  tint: z
    .string()
    .regex(/^#[0-9a-fA-F]{6}$/, 'a colour as #rrggbb')
    .default('#ff7a00')
    .describe('The colour of the effect tint, as #rrggbb'),
})
type EffectsParams = z.output<typeof EffectsParams>

/** A new frame with the effect; the one that came is left as it is. */
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
      // Blocks as wide as a share of the frame, so that it looks alike at any size.
      return { ...frame, data: pixelate(frame, blend(2, Math.max(4, Math.min(width, height) / 12), strength)) }
  }
}

export const Effects = definePipeline({
  description: 'Grayscale, invert, edges, pixelate or tint, with a strength',
  params: EffectsParams,
  input: { format: 'yuv420p' },
  load: () => ({ process: applyEffect }),
})
