import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const ROW = /^\| (\d+) \| .* \| (.*) \|$/
const FILE = /`(?:[^`]* )?((?:\w[\w.-]*\/)+[\w.-]+\.(?:test\.ts|py))`/

const guide = readFileSync(join(ROOT, 'docs/pipeline-sdk-python.md'), 'utf8')
const rows = guide.split('\n').flatMap((line) => {
  const [, number, proof] = ROW.exec(line) ?? []
  return number && proof ? [{ number: Number(number), proof }] : []
})

const textOf = (path: string): string => {
  const file = [path, `test/${path}`].map((one) => join(ROOT, one)).find(existsSync)
  return file ? readFileSync(file, 'utf8').replaceAll("\\'", "'") : ''
}

test('each of the 24 features of the guide has a proof', () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 24 }, (_, index) => index + 1))
})

test.each(rows)('the tests that prove feature $number are there', ({ proof }) => {
  const parts = proof.split('; ')
  for (const part of parts) {
    const text = textOf(FILE.exec(part)?.[1] ?? '')
    expect(text, part).not.toBe('')
    for (const [, name] of part.matchAll(/"([^"]+)"/g)) expect(text, part).toContain(name)
  }
})
