import { definePipeline } from 'millrace/pipeline'

export const Noop = definePipeline({
  description: 'Returns every frame unchanged',
  load: () => ({ process: (frame) => frame }),
})
