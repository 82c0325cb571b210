import { expect, test } from 'vitest'
import { PrepareReport } from '../../../../src/cli/prepare/report.ts'

function report(isTTY: boolean, columns?: number) {
  const texts: string[] = []
  const report = new PrepareReport({ write: (text) => texts.push(text), isTTY, ...(columns && { columns }) })
  return { report, log: report.log().child({ pipeline: 'p' }), text: () => texts.join('') }
}

test('log lines with their fields, without the name of the pipeline they belong to', () => {
  const { report: told, log, text } = report(false)
  told.say('p')
  log.info('plain')
  log.info({ look: 'noir', size: 3 }, 'table made')
  log.warn({ left: [1] }, 'odd')
  log.debug('never shown')
  expect(text()).toBe('p\n  plain\n  table made look=noir size=3\n  warn: odd left=[1]\n')
})

test('without a terminal, one line per tenth of a download', () => {
  const { log, text } = report(false)
  for (let bytes = 0; bytes <= 1000; bytes++)
    log.info({ download: 'm.bin', bytes: bytes * 1e6, totalBytes: 1e9 }, 'downloading')
  log.info({ download: 'm.bin', bytes: 1e9, totalBytes: 1e9, ms: 5 }, 'downloaded')
  const lines = text().trimEnd().split('\n')
  expect(lines).toHaveLength(12)
  expect(lines[5]).toBe('  m.bin  50 % 500 of 1000 MB')
  expect(lines.at(-1)).toBe('  m.bin 100 % 1000 MB')
})

test('on a terminal, a bar that updates in place and makes room for log lines', () => {
  const { log, text } = report(true, 80)
  log.info({ download: 'm.bin', bytes: 5e6, totalBytes: 1e7 }, 'downloading')
  log.warn('odd')
  log.info({ download: 'm.bin', bytes: 7.5e6 }, 'downloading')
  log.info({ download: 'm.bin', bytes: 1e7, totalBytes: 1e7 }, 'downloaded')
  expect(text().split(/(?<=\n)|(?=\r)/)).toEqual([
    '\r\x1b[K  m.bin [############............]  50 % 5.0 of 10.0 MB',
    '\r\x1b[K  warn: odd\n',
    '\r\x1b[K  m.bin 7.5 MB',
    '\r\x1b[K  m.bin 100 % 10.0 MB\n',
  ])
})

test('a line is never longer than the terminal', () => {
  const { log, text } = report(true, 30)
  log.info({ download: 'a/very/long/name/of/a/model.onnx', bytes: 5e6, totalBytes: 1e7 }, 'downloading')
  expect(text()).toHaveLength('\r\x1b[K'.length + 29)
})
