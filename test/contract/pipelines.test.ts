import type { PipelineClass } from 'millrace/pipeline'
import { type ContractOptions, pipelineContract } from 'millrace/testing'
import { describe, test } from 'vitest'
import { Effects } from '../../pipelines/effects/index.ts'
import { Meter } from '../../pipelines/meter/index.ts'
import { Noop } from '../../pipelines/noop/index.ts'

const BUILT_IN: [PipelineClass, ContractOptions][] = [
  [Noop, {}],
  [Meter, { change: { interval_ms: 40 } }],
  [Effects, { change: { effect: 'edges', strength: 0.5 } }],
]

describe.each(BUILT_IN.map(([author, options]) => ({ name: author.description, author, options })))(
  '$name',
  ({ author, options }) => {
    for (const { name, run } of pipelineContract(author, options)) test(name, run)
  },
)
