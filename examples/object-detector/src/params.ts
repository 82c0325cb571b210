import { BaseParams, type ParamsOf, z } from 'millrace/pipeline'
import { LABELS } from './labels.ts'

export const ObjectDetectorParams = BaseParams.extend({
  confidence: z.number().min(0.05).max(1).default(0.4).describe('Minimum confidence'),
  only: z.array(z.enum(LABELS)).default([]).describe('Classes to detect; by default all eighty'),
  every: z.number().min(0).max(10).default(0).describe('Seconds between the starts of two detections'),
  draw: z.boolean().default(true).describe('Draw the boxes into the frame'),
})
export type ObjectDetectorParams = ParamsOf<typeof ObjectDetectorParams>
