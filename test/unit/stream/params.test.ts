import { describe, expect, it } from 'vitest'
import { hashParams } from '../../../src/stream/params.ts'

describe('hashParams', () => {
  // Expected values computed in Python: hashlib.md5(json.dumps(value, sort_keys=True).encode()).hexdigest()
  it.each([
    [{}, '99914b932bd37a50b983c5e7c90ae93b'],
    [{ b: 1, a: 'x' }, '19afc29426da0042fc4e8b7c6b727fdf'],
    [{ text: 'é…', list: [1, 2.5, null, true], nested: { z: '"', y: [] } }, 'a910ad3d6feb933ffa40885cc7a11ad2'],
  ])('%j', (value, expected) => {
    expect(hashParams(value)).toBe(expected)
  })
})
