import { expect, test } from 'vitest'
import { pageModule } from './page-module.ts'

const { fieldsOf, stepFor } = await pageModule('params/schema.js')

const kinds = (properties: Record<string, object>, defaults: Record<string, unknown> = {}) =>
  fieldsOf({ type: 'object', properties }, defaults).map(({ name, kind }: { name: string; kind: string }) => [
    name,
    kind,
  ])

test.each<[string, object, unknown, string]>([
  ['a bounded number', { type: 'number', minimum: 0, maximum: 1 }, 0.5, 'slider'],
  ['a bounded integer', { type: 'integer', minimum: 2, maximum: 64 }, 16, 'slider'],
  ['a bounded number without default', { type: 'number', minimum: 0, maximum: 1 }, undefined, 'number'],
  [
    'an integer with the bounds zod writes',
    { type: 'integer', minimum: -(2 ** 53 - 1), maximum: 2 ** 53 - 1 },
    4,
    'number',
  ],
  ['a number with one bound', { type: 'number', minimum: 0 }, 4, 'number'],
  ['a boolean', { type: 'boolean' }, true, 'switch'],
  ['a few choices', { type: 'string', enum: ['a', 'b'] }, 'a', 'chips'],
  ['many choices', { type: 'string', enum: [...'abcdefghij'] }, 'a', 'select'],
  ['choices as constants', { anyOf: [{ const: 'a' }, { const: 'b' }] }, 'a', 'chips'],
  ['a colour', { type: 'string', pattern: '^#[0-9a-f]{6}$' }, '#ff0000', 'color'],
  ['a text', { type: 'string' }, 'x', 'text'],
  ['a value or null', { anyOf: [{ type: 'number', minimum: 0, maximum: 9 }, { type: 'null' }] }, 3, 'slider'],
  ['a list', { type: 'array', items: { type: 'number' } }, [], 'json'],
  ['an object', { type: 'object' }, {}, 'json'],
  ['either of two', { anyOf: [{ type: 'number' }, { type: 'string' }] }, 3, 'json'],
])('%s', (_, property, fallback, kind) => {
  expect(kinds({ x: property }, fallback === undefined ? {} : { x: fallback })).toEqual([['x', kind]])
})

test('what all pipelines share comes last', () => {
  const side = { type: 'integer', minimum: 64, maximum: 3840 }
  const names = kinds({ width: side, show_reloading_frame: { type: 'boolean' }, effect: { type: 'string' } })
  expect(names.map(([name]: [string]) => name)).toEqual(['effect', 'width', 'show_reloading_frame'])
})

test.each([
  [0, 1, 0.01],
  [0, 255, 2],
  [-1, 1, 0.02],
  [0, 0, 'any'],
])('the step from %d to %d is %s', (min, max, step) => {
  expect(stepFor(min, max)).toBe(step)
})
