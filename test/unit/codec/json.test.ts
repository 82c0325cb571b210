import { expect, test } from 'vitest'
import { parseExactJson, parseJson, parseJsonObject } from '../../../src/codec/json.ts'

const pathsOf = (text: string) => {
  try {
    parseJsonObject(text, 'the body')
  } catch (thrown) {
    return (thrown as { issues: { path: (string | number)[] }[] }).issues.map(({ path }) => path)
  }
  return []
}

test.each<[string, (string | number)[][]]>([
  ['{"seed":9007199254740991}', []],
  ['{"seed":-9007199254740992}', []],
  ['{"seed":9007199254740993}', [['seed']]],
  ['{"seed":18446744073709551615,"a":[1,{"b":-12345678901234567}]}', [['seed'], ['a', 1, 'b']]],
  ['{"large":100000000000000000000,"text":"9007199254740993","real":0.12345678901234567,"far":1e20}', []],
  ['{"":{"":9007199254740993}}', [['', '']]],
])('whole numbers that would become others: %s', (text, paths) => {
  expect(pathsOf(text)).toEqual(paths)
})

test('beside the params a body may have them', () => {
  const stamped = '{"sent":1764498224123456789,"more":{"params":9007199254740993},"params":{"seed":7}}'
  expect(parseExactJson(stamped, 'the body', 'params')).toMatchObject({ params: { seed: 7 } })
  const wrong = `{"sent":[${Array(30).fill('1764498224123456789')}],"params":{"seed":9007199254740993}}`
  expect(() => parseExactJson(wrong, 'the body', 'params')).toThrow('carries safely: params.seed')
})

test('other JSON than params may have them', () => {
  expect(parseJson('{"at":1764498224123456789}', 'the event')).toEqual({ at: 1764498224123456800 })
})
