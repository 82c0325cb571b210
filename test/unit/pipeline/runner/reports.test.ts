import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { describe as describeThrown, ErrorReports } from '../../../../src/pipeline/runner/reports.ts'

const circular: Record<string, unknown> = {}
circular.own = circular
const trap = (name: string) =>
  Object.defineProperty(new Error('trapped'), name, {
    get() {
      throw new Error('never')
    },
  })

test.each<[string, unknown, string]>([
  ['a text', 'no weights', 'no weights'],
  ['nothing', undefined, 'undefined'],
  ['null', null, 'null'],
  ['a symbol', Symbol('s'), 'Symbol(s)'],
  ['an object with a message', { code: 7, message: 'session lost' }, 'session lost'],
  ['an object', { code: 7 }, '{"code":7}'],
  ['a circular object', circular, 'something was thrown that cannot be told in words'],
  ['an error of another realm', runInNewContext(`new TypeError('far')`), 'TypeError: far'],
  [
    'an error of several',
    new AggregateError([new Error('first'), 2], 'all'),
    'AggregateError: all; caused by Error: first',
  ],
  ['an error without words', trap('message'), 'something was thrown that cannot be told in words'],
  ['an error without stack', trap('stack'), 'Error: trapped'],
  ['an error without cause', trap('cause'), 'Error: trapped'],
])('%s is described', (_, thrown, says) => {
  expect(describeThrown(thrown).replaceAll(/ \(.*?:\d+:\d+\)/g, '')).toBe(says)
  const told: unknown[] = []
  new ErrorReports((message) => told.push(message)).report('process', thrown)
  expect(told).toHaveLength(1)
})
