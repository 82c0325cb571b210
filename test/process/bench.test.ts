import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPeer } from '../../bench/lib/contenders/peer.ts'
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

test('a benchmark measures a whole server and writes its results as JSON and as a page', async () => {
  const [said] = await bench('trickle')
  expect(String(said)).toContain('# trickle')
  const { tables, machine } = await read('trickle')
  expect(machine.cores).toBeGreaterThan(0)
  const delivered = tables[0]!.rows.map((row) => row[2])
  expect(delivered).toEqual([100, 100, 100])
  expect(await readdir(folder)).toContain('README.md')
  expect(await readFile(join(folder, 'README.md'), 'utf8')).toContain('## trickle')
})

test('an unknown one is refused with the list of known ones', async () => {
  await expect(bench('speed')).rejects.toThrow(/"speed"; there are transcode, /)
})

describe('a server to compare with', () => {
  const node = (program: string) => ({ peer: `'${process.execPath}' -e "${program}" {port}` })

  test('is started on a free port and waited for', async () => {
    const program = `require('http').createServer((_, answer) => answer.end('here')).listen(process.argv[1])`
    await using peer = await openPeer(node(program), 'http://127.0.0.1:{port}/')
    expect(await (await fetch(peer.url)).text()).toBe('here')
    expect(peer.cpuMs()).toBeGreaterThan(0)
  })

  test('reports its output when it exits instead', async () => {
    const opening = openPeer(node(`console.error('no room'); process.exit(1)`), 'http://127.0.0.1:{port}')
    await expect(opening).rejects.toThrow(/ended before it answered[\s\S]*no room/)
  })
})
