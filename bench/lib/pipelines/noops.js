/** Pipelines that return each frame, for `../../pipeline/runners.ts`. */
import { definePipeline } from 'millrace/pipeline'

/** @param {'yuv420p' | 'rgb24'} format */
const noop = (format) => definePipeline({ input: { format }, load: () => ({ process: (frame) => frame }) })

export const Yuv420p = noop('yuv420p')
export const Rgb24 = noop('rgb24')
