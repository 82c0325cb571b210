import { definePipeline } from 'millrace/pipeline'

export const Noop = definePipeline({
  description: 'Gives every frame back as it came',
  load: () => ({ process: (frame) => frame }),
})
