import { expect, it } from 'vitest'
import { plainly, withoutPaths } from '../../../src/core/plain-paths.ts'

it.each([
  ['could not import /tmp/a/b/pipeline.ts: no', 'could not import pipeline.ts: no'],
  ["Cannot find module '/usr/lib/x/y.js' from file:///home/me/z.ts", "Cannot find module 'y.js' from z.ts"],
  ['at load (/opt/app/src/run.ts:12:5)', 'at load (run.ts:12:5)'],
  ['there is nothing at GET /streams/demo/none', 'there is nothing at GET /streams/demo/none'],
  [
    'see https://example.org/tmp/x and http://127.0.0.1/usr/y',
    'see https://example.org/tmp/x and http://127.0.0.1/usr/y',
  ],
  ['1/2 and/or a/tmp/b', '1/2 and/or a/tmp/b'],
])('%s', (text, shown) => expect(withoutPaths(text)).toBe(shown))

it('cleans every string of a value, and nothing else', () => {
  const event = {
    type: 'restart',
    count: 2,
    logs: ['\n/tmp/a/b.ts:1', 'ok'],
    error: { message: 'no /usr/x/y' },
    none: null,
  }
  expect(plainly(event)).toEqual({ ...event, logs: ['\nb.ts:1', 'ok'], error: { message: 'no y' } })
})
