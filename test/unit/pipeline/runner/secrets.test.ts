import { expect, test } from 'vitest'
import { z } from 'zod'
import { MASK, unmasked } from '../../../../src/core/masked.ts'
import { maskSecrets } from '../../../../src/pipeline/runner/secrets.ts'
import { pageModule } from '../../page/page-module.ts'

const secret = z.string().meta({ writeOnly: true })
type Tree = { name: string; token?: string | undefined; children: Tree[] }
const Tree: z.ZodType<Tree> = z.lazy(() =>
  z.object({ name: z.string(), token: secret.optional(), children: z.array(Tree) }),
)
const Params = z.object({
  key: secret.default(''),
  pin: z.int().meta({ writeOnly: true }).nullable().default(null),
  word: z.string().meta({ format: 'password' }).optional(),
  auth: z.union([z.object({ user: z.string(), pass: secret }), z.object({ bearer: secret })]).optional(),
  pair: z.tuple([z.string(), secret]).optional(),
  named: z.record(z.string(), secret).default({}),
  tree: Tree.optional(),
  open: z.string().default('x'),
})
const schema = z.toJSONSchema(Params, { io: 'input' })

test('secrets are masked wherever the schema has them', () => {
  const leaf = { name: 'leaf', token: 't', children: [] }
  const given = {
    key: 'k',
    pin: 1234,
    word: 'w',
    auth: { user: 'me', pass: 'p' },
    pair: ['a', 'b'],
    named: { one: '1', __proto__: '2' },
    tree: { name: 'root', children: [leaf] },
    open: 'x',
  }
  const masked = maskSecrets(schema, given)
  expect(masked).toEqual({
    ...given,
    key: MASK,
    pin: MASK,
    word: MASK,
    auth: { user: 'me', pass: MASK },
    pair: ['a', MASK],
    named: { one: MASK },
    tree: { name: 'root', children: [{ ...leaf, token: MASK }] },
  })
  expect(maskSecrets(schema, { auth: { bearer: 'b' } })).toEqual({ auth: { bearer: MASK } })
  expect(unmasked(masked, given)).toEqual(given)
})

test('nothing is secret in an empty value or a schema that refers to itself', () => {
  expect(maskSecrets(schema, { key: '', pin: null })).toEqual({ key: '', pin: null })
  const circle = { $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/a' }, { $ref: '#' }] } } }
  expect(maskSecrets(circle, { a: 1 })).toEqual({ a: 1 })
})

test('a mask keeps the previous value, and is left out where there was none', () => {
  const before = { key: 'k', list: [{ token: 'a' }], deep: { token: 'b' } }
  const given = {
    key: MASK,
    list: [{ token: MASK, user: 'me' }, { token: MASK }, MASK],
    deep: { token: 'c' },
    none: MASK,
  }
  expect(unmasked(given, before)).toEqual({ key: 'k', list: [{ token: 'a', user: 'me' }, {}], deep: { token: 'c' } })
  expect(unmasked({ toString: MASK, constructor: MASK }, before)).toEqual({})
  expect(unmasked({ key: null }, before)).toEqual({ key: null })
})

test('the page uses the same mask', async () => {
  expect((await pageModule('params/values.js')).MASK).toBe(MASK)
})
