import { expect, test } from 'vitest'
import { AuthorOutput } from '../../../../src/pipeline/host/author-output.ts'

function open() {
  const lines: string[] = []
  const output = new AuthorOutput((line) => lines.push(line))
  return { lines, output, say: (text: string, now = 5000) => output.push(Buffer.from(text), now) }
}

test('lines are whole, however they arrive', () => {
  const { lines, say } = open()
  for (const piece of ['he', 'llo\nwor', 'ld\r\n', '\n', 'unfinished']) say(piece)
  expect(lines).toEqual(['hello', 'world'])
})

test('forty lines per second are logged; the rest is counted and reported', () => {
  const { lines, say } = open()
  say(Array.from({ length: 100 }, (_, index) => `line ${index}\n`).join(''))
  say('more\n')
  expect(lines).toHaveLength(40)
  say('later\n', 6001)
  expect(lines[40]).toMatch(/^\(\d+ more bytes of output left out\)$/)
  say('whole again\n', 6002)
  expect(lines.at(-1)).toBe('whole again')
})

test('the last lines are kept, including those not logged', () => {
  const { output, say } = open()
  say('first\n')
  say(Array.from({ length: 5000 }, (_, index) => `line ${index}\n`).join(''))
  say(Array.from({ length: 5000 }, (_, index) => `late ${index}\n`).join(''))
  expect(output.tail).toHaveLength(100)
  expect(output.tail.at(-1)).toBe('late 4999')
})

test('an endless line is bounded', () => {
  const { output, say } = open()
  for (let chunk = 0; chunk < 1000; chunk++) say('x'.repeat(65_536))
  expect(output.tail.join('').length).toBeLessThan(10_000)
})

test('lines kept but not logged are among the last lines', () => {
  const { output, lines } = open()
  output.keep('from the log')
  expect(output.tail).toEqual(['from the log'])
  expect(lines).toEqual([])
})
