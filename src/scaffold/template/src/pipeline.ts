import { definePipeline } from 'millrace/pipeline'
import { MyPipelineParams } from './params.ts'

export const MyPipeline = definePipeline({
  description: 'Turns the frame into its negative',
  params: MyPipelineParams,
  input: { format: 'rgb24' },

  // Load the model here. Import heavy packages with `await import(…)`, and keep no state in the module itself.
  load(_params, { name, log }) {
    log.info({ name }, 'loaded')
    return {
      // Called for the newest frame each time, with the params in effect for it.
      process(frame, { strength }) {
        const levels = Uint8Array.from({ length: 256 }, (_, level) => level + (255 - 2 * level) * strength)
        return { ...frame, data: frame.data.map((level) => levels[level]!) }
      },
    }
  },
})
