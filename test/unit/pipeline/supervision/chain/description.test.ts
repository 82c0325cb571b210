import { expect, test } from 'vitest'
import { describeChain } from '../../../../../src/pipeline/supervision/chain/description.ts'

test('references in the schema of a stage are rebased to the schema of the chain', () => {
  const schema = {
    type: 'object',
    properties: { mode: { $ref: '#/$defs/Mode' }, self: { $ref: '#' } },
    $defs: { Mode: { enum: ['a', 'b'] } },
  }
  const { schema: whole } = describeChain([
    {
      key: 'x/y',
      description: { input: { format: 'rgb24' }, video: true, schema, defaults: { mode: 'a' }, streams: 1 },
    },
    {
      key: 'z',
      description: { input: {}, video: true, schema: { type: 'object', properties: {} }, defaults: {}, streams: 1 },
    },
  ])
  expect(whole).toMatchObject({
    properties: {
      'x/y': { properties: { mode: { $ref: '#/properties/x~1y/$defs/Mode' }, self: { $ref: '#/properties/x~1y' } } },
      z: { title: 'z' },
    },
  })
})
