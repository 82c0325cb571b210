import { expect, test } from 'vitest'
import { LogCollector } from '../../helpers/server/logs.ts'

test('lines of a logger and of a child process are stored alike', () => {
  const logs = new LogCollector()
  logs.log.child({ stream: 'a' }).warn({ why: 'x' }, 'went wrong')
  logs.log.info('all is well')
  logs.feed('{"level":30,"msg":"listening","url":"http://127.0.0.1:1"}')
  logs.feed('not json')
  logs.feed('42')
  expect(logs.lines).toEqual([
    { level: 40, stream: 'a', why: 'x', msg: 'went wrong' },
    { level: 30, msg: 'all is well' },
    { level: 30, msg: 'listening', url: 'http://127.0.0.1:1' },
  ])
  expect(logs.other).toEqual(['not json', '42'])
  expect(logs.complaints.map((line) => line.msg)).toEqual(['went wrong'])
})

test('waiting finds an existing line and a later one, and fails with a clear message', async () => {
  const logs = new LogCollector()
  logs.log.info('first')
  expect(await logs.waitFor((line) => line.msg === 'first', 'first')).toMatchObject({ msg: 'first' })
  const later = logs.waitFor((line) => line.msg === 'second', 'second')
  logs.log.info('second')
  expect(await later).toMatchObject({ msg: 'second' })
  await expect(logs.waitFor((line) => line.msg === 'third', 'third', 20)).rejects.toThrow(/no log line third/)
})
