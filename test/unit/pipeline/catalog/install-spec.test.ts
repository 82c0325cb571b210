import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readSpec } from '../../../../src/pipeline/catalog/install-spec.ts'

let root: string
let app: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'mr-spec-'))
  app = join(root, 'app')
  mkdirSync(join(app, 'packages', 'folder.tgz'), { recursive: true })
  for (const file of ['app/a-1.0.0.tgz', 'app/packages/b.tar.gz', 'outside.tgz', 'app/a.zip'])
    writeFileSync(join(root, file), '')
  symlinkSync(join(root, 'outside.tgz'), join(app, 'link.tgz'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const read = (spec: string) => readSpec(spec.replaceAll('ROOT', root), [app])

describe('accepted', () => {
  const commit = '0123456789abcdef0123456789abcdef01234567'
  test.each([
    ['my-pipeline@1.2.3', 'registry', 'my-pipeline@1.2.3'],
    ['@me/my-pipeline@1.2.3-beta.1', 'registry', '@me/my-pipeline@1.2.3-beta.1'],
    ['./a-1.0.0.tgz', 'tarball', 'ROOT/app/a-1.0.0.tgz'],
    ['file:packages/b.tar.gz', 'tarball', 'ROOT/app/packages/b.tar.gz'],
    ['ROOT/app/packages/../a-1.0.0.tgz', 'tarball', 'ROOT/app/a-1.0.0.tgz'],
    [`git+https://example.org/p.git#${commit}`, 'git', `git+https://example.org/p.git#${commit}`],
    [`git+ssh://git@example.org/p.git#${commit}`, 'git', `git+ssh://git@example.org/p.git#${commit}`],
  ])('%s', (spec, kind, argument) => {
    expect(read(spec)).toEqual({ kind, argument: argument.replace('ROOT', root) })
  })
})

describe('refused before npm is called', () => {
  test.each([
    ['', 'has characters that no package needs'],
    ['x@1.0.0; rm -rf /', 'has characters that no package needs'],
    ['x@1.0.0 && id', 'has characters that no package needs'],
    ['$(id)@1.0.0', 'has characters that no package needs'],
    ['`id`@1.0.0', 'has characters that no package needs'],
    ["x'@1.0.0", 'has characters that no package needs'],
    ['x@1.0.0\n--global', 'has characters that no package needs'],
    ['x@1.0.0%20--global', 'has characters that no package needs'],
    ['..\\x.tgz', 'has characters that no package needs'],
    ['--global', 'looks like an option'],
    ['-g', 'looks like an option'],
    ['--prefix=/etc', 'looks like an option'],
    ['../outside.tgz', 'lies outside of the folders that are searched'],
    ['ROOT/outside.tgz', 'lies outside of the folders that are searched'],
    ['file:../outside.tgz', 'lies outside of the folders that are searched'],
    ['./link.tgz', 'lies outside of the folders that are searched'],
    ['./packages/../../outside.tgz', 'lies outside of the folders that are searched'],
    ['~/x.tgz', 'does not exist'],
    ['./none.tgz', 'does not exist'],
    ['./a.zip', 'is not a .tgz file'],
    ['../app', 'is not a .tgz file'],
    ['.', 'is not a .tgz file'],
    ['/etc/passwd', 'is not a .tgz file'],
    ['./packages/folder.tgz', 'is not a file'],
    ['my-pipeline', 'has no version'],
    ['@me/my-pipeline', 'has no version'],
    ['my-pipeline@latest', 'names no exact version'],
    ['my-pipeline@^1.0.0', 'has characters that no package needs'],
    ['my-pipeline@1', 'names no exact version'],
    ['my-pipeline@v1.0.0', 'names no exact version'],
    ['my-pipeline@1.x', 'names no exact version'],
    ['x@npm:other@1.0.0', 'is not the name of a package'],
    ['x@file:../../etc@1.0.0', 'is not the name of a package'],
    ['a/../../b@1.0.0', 'is not the name of a package'],
    ['@../evil@1.0.0', 'is not the name of a package'],
    ['..@1.0.0', 'is not a .tgz file'],
    ['http://example.org/x.tgz', 'is not the name of a package'],
    ['https://example.org/x.tgz@1.0.0', 'is not the name of a package'],
    ['github:me/x', 'is not the name of a package'],
    ['me/x', 'is not the name of a package'],
    ['git+https://example.org/p.git', 'is not a git address with a whole commit'],
    ['git+https://example.org/p.git#main', 'is not a git address with a whole commit'],
    ['git+https://example.org/p.git#0123456', 'is not a git address with a whole commit'],
    [`git+file:///etc#${'0'.repeat(40)}`, 'is not a git address with a whole commit'],
    [`git+https://example.org/../p.git#${'0'.repeat(40)}`, 'is not a git address with a whole commit'],
  ])('%j', (spec, why) => {
    expect(() => read(spec)).toThrow(
      `${JSON.stringify(spec.replaceAll('ROOT', root))} ${why}; accepted: a name with an exact version`,
    )
  })
})
