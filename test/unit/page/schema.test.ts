import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { pageModule } from './page-module.ts'

const { fieldsOf } = await pageModule('params/schema.js')
const { nearestOf, positionNear, positionsOf, problemOfNumber, stepFor } = await pageModule('params/numbers.js')
const { fits, initial, mergePatch } = await pageModule('params/values.js')

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
  ['a value or null', { anyOf: [{ type: 'number', minimum: 0, maximum: 9 }, { type: 'null' }] }, 3, 'maybe'],
  ['a yes, no or null', { type: ['boolean', 'null'] }, null, 'chips'],
  ['a list', { type: 'array', items: { type: 'number' } }, [], 'list'],
  ['a list of anything', { type: 'array' }, [], 'json'],
  ['some of a few', { type: 'array', items: { enum: ['a', 'b'] }, uniqueItems: true }, [], 'checks'],
  ['a pair', { type: 'array', prefixItems: [{ type: 'number' }, { type: 'string' }] }, [1, 'a'], 'tuple'],
  ['a record', { type: 'object', additionalProperties: { type: 'number' } }, {}, 'map'],
  ['members', { type: 'object', properties: { a: { type: 'number' } } }, { a: 1 }, 'group'],
  ['a secret', { type: 'string', writeOnly: true }, '', 'secret'],
  ['a file', { type: 'string', contentEncoding: 'base64' }, '', 'file'],
  ['bytes by format', { type: 'string', format: 'base64' }, '', 'file'],
  ['lines', { type: 'string', maxLength: 500 }, '', 'long'],
  ['a huge whole number', { type: 'integer', minimum: 0, maximum: 2 ** 64 }, 1, 'number'],
  ['bounds that leave one value', { type: 'integer', minimum: 1, maximum: 7, multipleOf: 4 }, 4, 'number'],
  ['an object', { type: 'object' }, {}, 'json'],
  ['either of two', { anyOf: [{ type: 'number' }, { type: 'string' }] }, 3, 'union'],
])('%s', (_, property, fallback, kind) => {
  expect(kinds({ x: property }, fallback === undefined ? {} : { x: fallback })).toEqual([['x', kind]])
})

test('common params come last', () => {
  const side = { type: 'integer', minimum: 64, maximum: 3840 }
  const names = kinds({ width: side, show_reloading_frame: { type: 'boolean' }, effect: { type: 'string' } })
  expect(names.map(([name]: [string]) => name)).toEqual(['effect', 'width', 'show_reloading_frame'])
})

test.each([
  [0, 1, 0.01],
  [0, 255, 1],
  [-1, 1, 0.02],
  [0, 0, 'any'],
])('the step from %d to %d is %s', (min, max, step) => {
  expect(stepFor(min, max)).toBe(step)
})

test('width and height are one field', () => {
  const side = { type: 'integer', minimum: 64, maximum: 3840 }
  expect(kinds({ width: side, height: side })).toEqual([['resolution', 'resolution']])
})

test.each([
  [
    'multiples that do not begin at the minimum',
    { type: 'integer', minimum: 3, maximum: 100, multipleOf: 8 },
    [8, 96, 8],
  ],
  ['tenths', { type: 'number', minimum: 0.05, maximum: 2, multipleOf: 0.1 }, [0.1, 2, 0.1]],
  ['negative multiples', { type: 'integer', minimum: -10, maximum: 10, multipleOf: 4 }, [-8, 8, 4]],
  ['open at both ends', { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 }, [0.01, 0.99, 0.01]],
  ['whole and open', { type: 'integer', exclusiveMinimum: 0, exclusiveMaximum: 10 }, [1, 9, 1]],
  ['open on the grid', { type: 'number', exclusiveMinimum: 0, maximum: 1, multipleOf: 0.25 }, [0.25, 1, 0.25]],
  ['halves as whole numbers', { type: 'integer', minimum: 0, maximum: 10, multipleOf: 2.5 }, [0, 10, 5]],
  ['fractional bounds of whole numbers', { type: 'integer', minimum: 0.5, maximum: 9.5 }, [1, 9, 1]],
])('positions of %s', (_, schema, [min, max, step]) => {
  const positions = positionsOf(schema)
  expect(positions).toEqual({ min, max, step })
  const all = Array.from({ length: Math.round((positions.max - positions.min) / positions.step) + 1 }, (_, index) =>
    Number((positions.min + index * positions.step).toPrecision(12)),
  )
  expect(all.filter((value) => problemOfNumber(schema, value) !== undefined)).toEqual([])
})

test('a browser rounds where a slider stands; what is sent is valid', () => {
  const schema = { type: 'number', minimum: 1 / 3, exclusiveMaximum: Math.PI }
  const { min, max, step } = positionsOf(schema)
  for (let at = min; at <= max; at += step)
    expect(problemOfNumber(schema, positionNear(schema, Number(at.toPrecision(15))))).toBeUndefined()
  const far = { type: 'number', minimum: 1e9, maximum: 1e9 + 1, multipleOf: 0.001 }
  expect(positionNear(far, 1000000000.4560001)).toBe(1000000000.456)
})

test.each<[string, object, unknown]>([
  ['of a third', { type: 'number', minimum: 0.1, maximum: 3, multipleOf: 1 / 3 }, 1 / 3],
  ['of tiny steps as a whole number', { type: 'integer', exclusiveMinimum: 0, multipleOf: 1e-7 }, 1],
  ['of bounds that leave none', { type: 'number', minimum: 0.1, maximum: 0.2, multipleOf: 0.25 }, undefined],
  ['of bounds that meet', { type: 'number', minimum: 1, exclusiveMaximum: 1 }, undefined],
])('the first value %s', (_, schema, value) => {
  expect(nearestOf(schema, 0)).toBe(value)
  if (value !== undefined) expect(problemOfNumber(schema, value)).toBeUndefined()
})

test('multiples of what is no decimal have no slider; whole numbers are taken up to 2^53', () => {
  expect(positionsOf({ type: 'number', minimum: 0, maximum: 3, multipleOf: 1 / 3 })).toBeUndefined()
  const safe = { type: 'integer', minimum: -Number.MAX_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }
  expect(problemOfNumber(safe, Number.MAX_SAFE_INTEGER)).toBeUndefined()
})

test.each<[object, object, object | undefined]>([
  [{ a: 1, b: 2 }, { a: 1, b: 3 }, { b: 3 }],
  [{ a: 1 }, { a: undefined }, { a: null }],
  [{ a: { x: 1, y: 2 } }, { a: { x: 1 } }, { a: { y: null } }],
  [{ a: [1] }, { a: [null] }, { a: [null] }],
  [{ a: 1 }, { a: null }, undefined],
  [{ a: 1 }, { a: { b: null } }, undefined],
])('the patch from %j to %j is %j', (before, after, patch) => {
  expect(mergePatch(before, after)).toEqual(patch)
})

/** Schema written by pydantic 2.14 from a model with a field of each kind. */
const PYDANTIC = JSON.parse(readFileSync(new URL('pydantic-schema.json', import.meta.url), 'utf8'))

test('each field of a pydantic model has its own control, with a valid default', () => {
  const defaults = Object.fromEntries(
    Object.entries<{ default?: unknown }>(PYDANTIC.properties).map(([name, property]) => [name, property.default]),
  )
  const fields = fieldsOf(PYDANTIC, defaults) as { name: string; kind: string; empty?: object }[]
  expect(Object.fromEntries(fields.map(({ name, kind }) => [name, kind]))).toEqual({
    seed: 'number',
    strength: 'maybe',
    maybe: 'number',
    mode: 'chips',
    omode: 'chips',
    steps: 'slider',
    box: 'group',
    tree: 'group',
    obox: 'maybe',
    pet: 'union',
    key: 'secret',
    img: 'file',
    pair: 'tuple',
    tags: 'checks',
    weights: 'map',
    either: 'union',
    day: 'date',
    when: 'date-time',
    any: 'json',
    lit: 'chips',
    b: 'chips',
  })
  for (const [name, property] of Object.entries(PYDANTIC.properties)) {
    expect([name, fits(PYDANTIC, property, defaults[name])]).toEqual([name, true])
    expect([name, fits(PYDANTIC, property, initial(PYDANTIC, property))]).toEqual([name, true])
  }
  expect(fits(PYDANTIC, PYDANTIC.properties.pet, { kind: 'bird' })).toBe(false)
  expect(fits(PYDANTIC, PYDANTIC.properties.tree, { name: 'a', children: [{ name: 1 }] })).toBe(false)
})
