import { expect, test } from 'vitest'
import type { Catalog } from '../../../../src/pipeline/catalog/catalog.ts'
import { findChain, isChain, plainName } from '../../../../src/pipeline/catalog/chain-name.ts'
import type { PipelineEntry } from '../../../../src/pipeline/catalog/entry.ts'

const entry = (name: string) => ({ name, params: {} }) as PipelineEntry
const catalog: Catalog = {
  pipelines: new Map(['a', 'b', 'a-2'].map((name) => [name, entry(name)])),
  rejected: [],
}
const keys = (name: string) => findChain(catalog, name).map(({ key }) => key)

test('a chain is names separated by commas, with optional spaces', () => {
  expect(isChain('a')).toBe(false)
  expect(isChain('a,b')).toBe(true)
  expect(plainName(' a , b')).toBe('a,b')
  expect(findChain(catalog, 'b, a').map(({ entry }) => entry.name)).toEqual(['b', 'a'])
})

test('a repeated pipeline gets a unique number', () => {
  expect(keys('a')).toEqual(['a'])
  expect(keys('b,b,b')).toEqual(['b', 'b-2', 'b-3'])
  expect(keys('a,a,a-2')).toEqual(['a', 'a-3', 'a-2'])
})

test.each(['a,', ',a', 'a,,b', ','])('%j is not a chain', (name) => {
  expect(() => findChain(catalog, name)).toThrow(expect.objectContaining({ code: 'invalid-request' }))
})

test('unknown names and too many are refused', () => {
  expect(() => findChain(catalog, 'a,c')).toThrow(/there is no pipeline c; there are: a, a-2, b/)
  expect(() => findChain(catalog, Array(9).fill('a').join())).toThrow(/at most 8/)
})
