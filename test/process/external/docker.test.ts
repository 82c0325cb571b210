import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const FILES = [
  ...readdirSync(join(ROOT, 'docker/examples')).map((name) => `docker/examples/${name}/Dockerfile`),
  'examples/external-pipeline/Dockerfile',
  'examples/python-pipeline/Dockerfile',
  'src/scaffold/template/Dockerfile',
  'src/scaffold/template-python/Dockerfile',
]
const INSTRUCTIONS = ['ARG', 'FROM', 'ENV', 'USER', 'RUN', 'COPY', 'WORKDIR', 'VOLUME']

/** Instructions of a Dockerfile, without comments, with continued lines joined. */
function read(file: string): { word: string; rest: string }[] {
  const text = readFileSync(join(ROOT, file), 'utf8').replaceAll('\\\n', ' ')
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
  return lines.map((line) => ({ word: line.split(' ')[0]!, rest: line.slice(line.indexOf(' ') + 1) }))
}

test('13, 14, 15: the three ways exist', () => {
  expect(FILES.map((file) => file.split('/').at(-2))).toEqual(
    expect.arrayContaining(['install', 'cached', 'auto-install'].flatMap((way) => [way, `python-${way}`])),
  )
  const commands = (name: string) => read(`docker/examples/${name}/Dockerfile`).map(({ rest }) => rest)
  for (const language of ['', 'python-']) {
    const mounts = commands(`${language}cached`).filter((rest) => rest.includes('--mount=type=cache'))
    expect(mounts.length).toBeGreaterThan(0)
    const [auto] = commands(`${language}auto-install`).filter((rest) => rest.startsWith('AUTO_INSTALL_PIPELINE='))
    expect(auto).toMatch(language ? /=pip:\$\{PACKAGE\}/ : /=\$\{PACKAGE\}/)
  }
})

describe.each(FILES)('%s', (file) => {
  const instructions = read(file)

  test('is based on the server image and runs as its user', () => {
    const from = instructions.filter(({ word }) => word === 'FROM').map(({ rest }) => rest)
    expect(from.at(-1)).toMatch(/^\$\{MILLRACE_IMAGE\}$/)
    for (const image of from.slice(0, -1))
      expect(image).toMatch(/^(node:24-bookworm-slim|\$\{MILLRACE_IMAGE\}) AS build$/)
    const users = instructions.filter(({ word }) => word === 'USER').map(({ rest }) => rest)
    expect(['millrace', undefined]).toContain(users.at(-1))
  })

  test('has known instructions only, uses what it declares, and runs no script of a package', () => {
    const declared = new Set(['MILLRACE_IMAGE'])
    for (const { word, rest } of instructions) {
      expect(INSTRUCTIONS).toContain(word)
      for (const [, name] of rest.matchAll(/\$\{(\w+)\}/g)) expect([...declared], rest).toContain(name)
      if (word === 'ARG') declared.add(rest.split('=')[0]!)
      if (word === 'ENV') for (const [, name] of rest.matchAll(/(\w+)=/g)) declared.add(name!)
      if (/\bnpm (install|ci|pack)\b/.test(rest)) expect(rest).toContain('--ignore-scripts')
    }
  })
})
