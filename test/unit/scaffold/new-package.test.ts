import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeNewPackage } from '../../../src/scaffold/new-package.ts'

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'mr-new-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const tools = { typescript: '7.0.2', vitest: '5.1.1', '@types/node': '24.19.2', vite: '8.0.0' }
const write = (name: string, more = {}) =>
  writeNewPackage({ directory: join(root, name), version: '0.1.0', tools, ...more })

test('files are named after the folder', () => {
  expect(write('my-2nd-look').sort()).toEqual(
    [
      ...['.dockerignore', '.gitignore', 'Dockerfile', 'README.md', 'package.json'],
      ...['src/params.ts', 'src/pipeline.ts', 'test/pipeline.test.ts', 'tsconfig.json'],
    ].sort(),
  )
  const manifest = JSON.parse(readFileSync(join(root, 'my-2nd-look/package.json'), 'utf8'))
  expect(manifest).toMatchObject({
    name: 'my-2nd-look',
    millrace: { pipelines: { 'my-2nd-look': './dist/pipeline.js#My2ndLook' } },
    peerDependencies: { millrace: '^0.1.0' },
    devDependencies: { millrace: '^0.1.0', typescript: '7.0.2', vitest: '5.1.1', '@types/node': '24.19.2' },
  })
  expect(manifest.devDependencies).not.toHaveProperty('vite')
  for (const file of ['src/pipeline.ts', 'test/pipeline.test.ts', 'README.md', 'Dockerfile'])
    expect(readFileSync(join(root, 'my-2nd-look', file), 'utf8')).not.toMatch(/my-pipeline|MyPipeline/)
})

test('in a checkout the package uses that', () => {
  write('checked-out', { checkout: '/some/where' })
  const { devDependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'checked-out/package.json'), 'utf8'))
  expect(devDependencies.millrace).toBe('file:/some/where')
  expect(peerDependencies.millrace).toBe('^0.1.0')
})

test.each(['Upper', 'with space', '1st', '-x', 'x-', 'a--b', 'ä', `a${'b'.repeat(64)}`])(
  '%s is not a valid name',
  (name) => {
    expect(() => write(name)).toThrow(`"${name}" cannot be the name of a package`)
  },
)

test('a non-empty folder is left alone, an empty one is used', () => {
  mkdirSync(join(root, 'used'))
  expect(write('used').length).toBeGreaterThan(5)
  mkdirSync(join(root, 'full'))
  writeFileSync(join(root, 'full', 'notes.txt'), 'mine')
  expect(() => write('full')).toThrow('exists and is not empty')
  expect(readFileSync(join(root, 'full', 'notes.txt'), 'utf8')).toBe('mine')
})
