import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(join(ROOT, 'docs/security.md'), 'utf8')
const [, table = ''] = page.split('| what | limit | tested by |\n| --- | --- | --- |\n')
const limits = table.split('\n\n')[0]!.split('\n')

test.each(limits)('the tests of a limit are there: %s', (row) => {
  const files = [...(row.split(' | ').at(-1) ?? '').matchAll(/`(test\/[^`]+)`/g)].map(([, file]) => file!)
  expect(files.length).toBeGreaterThan(0)
  expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
})

test('the tests named elsewhere on the page are there', () => {
  const named = [...page.matchAll(/`(test\/[\w/.-]+)`/g)].map(([, file]) => file!)
  expect(named.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
  expect(limits.length).toBeGreaterThan(20)
})
