import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Report } from '../../bench/lib/report.ts'
import { runTool } from '../helpers/run-tool.ts'

const MAIN = fileURLToPath(new URL('../../bench/main.ts', import.meta.url))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-bench-results-'))
})
afterAll(() => rm(folder, { recursive: true }))

const bench = (...args: string[]) =>
  runTool(process.execPath, [MAIN, ...args, '--seconds', '1', '--repeat', '1', '--results', folder])
const read = async (name: string) => JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')) as Report

test('a benchmark measures a whole server and writes its figures, as JSON and as a page', async () => {
  const [said] = await bench('trickle')
  expect(String(said)).toContain('# trickle')
  const { tables, machine } = await read('trickle')
  expect(machine.cores).toBeGreaterThan(0)
  const delivered = tables[0]!.rows.map((row) => row[2])
  expect(delivered).toEqual([100, 100, 100])
  expect(await readdir(folder)).toContain('README.md')
  expect(await readFile(join(folder, 'README.md'), 'utf8')).toContain('## trickle')
})

test('one that is not known is named, with those that are', async () => {
  await expect(bench('speed')).rejects.toThrow(/"speed"; there are transcode, /)
})
