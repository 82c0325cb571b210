import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { closure, cycles, findImports, type Import, readSources } from '../helpers/import-graph.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Imports go down only; folders on one line never import each other. */
const LAYERS = [
  ['core'],
  ['codec'],
  ['sdk', 'mpegts'],
  ['ffmpeg', 'pipeline', 'trickle', 'webrtc'],
  ['stream'],
  ['recording', 'remote', 'webhooks', 'tracing'],
  ['http', 'livepeer', 'doctor', 'scaffold', 'dispatch'],
]

/** Files directly in `src/` are above every folder; the entry point of the server imports the others. */
const TOP = LAYERS.length

/** A runner starts once per stream and holds the model of the author: it loads only these files of its folder. */
const RUNNER = 'src/pipeline/runner/runner.ts'
const RUNNER_FILES = [
  RUNNER,
  'src/pipeline/protocol.ts',
  'src/pipeline/control-channel.ts',
  'src/pipeline/ring/frame-ring.ts',
]
/** The parts of those files. */
const RUNNER_PARTS = /^src\/pipeline\/(ring|runner)\/[a-z-]+\.ts$/

const MAX_LINES = 400
const MAX_FILES = 15

const sources = readSources(ROOT, 'src', ['.ts'])
const imports = sources.flatMap((source) => source.imports)
/** `cli` holds commands, which import everything, as the files directly in `src/` do. */
const folderOf = (path: string): string | undefined => /^src\/(?!cli\/)([^/]+)\//.exec(path)?.[1]
const layerOf = (path: string): number => {
  const folder = folderOf(path)
  return folder === undefined ? TOP : LAYERS.findIndex((layer) => layer.includes(folder))
}
const say = ({ from, specifier }: Import): string => `${from} imports ${specifier}`
const usersOf = (pattern: RegExp): string[] => sources.filter(({ code }) => pattern.test(code)).map(({ path }) => path)

describe('src', () => {
  test('every folder is a layer known to this test', () => {
    const folders = new Set(sources.map(({ path }) => folderOf(path)).filter((folder) => folder !== undefined))
    expect([...folders].filter((folder) => !LAYERS.flat().includes(folder))).toEqual([])
  })

  test('imports name existing files, with their extension', () => {
    expect(imports.filter(({ to }) => to && !existsSync(join(ROOT, to))).map(say)).toEqual([])
  })

  test('imports go down, or stay in their folder', () => {
    const wrong = imports.filter(({ from, to }) => {
      if (!to?.startsWith('src/') || folderOf(from) === folderOf(to)) return false
      return layerOf(to) >= layerOf(from)
    })
    expect(wrong.map(say)).toEqual([])
  })

  test('relative imports stay in src, except for package.json', () => {
    const out = imports.filter(({ to }) => to && !to.startsWith('src/') && to !== 'package.json')
    expect(out.map(say)).toEqual([])
  })

  test('imports are acyclic, types included', () => {
    expect(cycles(sources).map((ring) => ring.join(' -> '))).toEqual([])
  })

  test('a folder holds at most fifteen files, and files are short', () => {
    expect(fullFolders(sources)).toEqual([])
    const lines = sources.map((source) => source.lines).sort((a, b) => a - b)
    expect(lines[lines.length >> 1]).toBeLessThanOrEqual(100)
  })

  test('core uses nothing but Node', () => {
    const foreign = imports.filter(
      ({ from, to, specifier }) => from.startsWith('src/core/') && !to && !specifier.startsWith('node:'),
    )
    expect(foreign.map(say)).toEqual([])
  })

  test('the runner loads little', () => {
    if (!sources.some(({ path }) => path === RUNNER)) return
    const loaded = closure(RUNNER, sources).filter((path) => {
      if (['core', 'codec', 'sdk'].includes(folderOf(path) ?? '')) return false
      return !RUNNER_FILES.includes(path) && !RUNNER_PARTS.test(path)
    })
    expect(loaded).toEqual([])
  })

  test('one file imports fluent-ffmpeg', () => {
    const users = imports.filter(({ specifier }) => specifier === 'fluent-ffmpeg').map(({ from }) => from)
    expect(users.filter((path) => path !== 'src/ffmpeg/command.ts')).toEqual([])
  })

  test('settings are read in one place', () => {
    // The compile cache is set by variables of Node and of the desktop; like the search path, they are no settings.
    const allowed = ['src/config.ts', 'src/main.ts', 'src/cli/surroundings.ts', 'src/cli/compile-cache.ts']
    expect(usersOf(/\bprocess\.env\b(?!\.PATH\b)/).filter((path) => !allowed.includes(path))).toEqual([])
  })

  test('only process entry points exit', () => {
    const allowed = ['src/exit.ts', RUNNER, 'src/sdk/testing/import.ts']
    expect(usersOf(/\bprocess\.exit\(/).filter((path) => !allowed.includes(path))).toEqual([])
  })

  test('no file is too long or a utils file', () => {
    const long = sources.filter(({ lines }) => lines > MAX_LINES).map(({ path, lines }) => `${path}: ${lines} lines`)
    expect(long).toEqual([])
    expect(
      sources.filter(({ path }) => /\/(utils?|helpers?|common|misc)\.ts$/.test(path)).map(({ path }) => path),
    ).toEqual([])
  })

  test('exports have names', () => {
    expect(usersOf(/(^|\n)\s*export\s+default\b/)).toEqual([])
  })
})

describe('pipelines', () => {
  test('they import the SDK and what their manifest lists, as an external package would', () => {
    const inside = readSources(ROOT, 'pipelines', ['.ts']).flatMap((source) => source.imports)
    const wrong = inside.filter(({ from, to, specifier }) => {
      const own = from.split('/').slice(0, 2).join('/')
      if (to) return !to.startsWith(`${own}/`)
      if (specifier.startsWith('node:') || /^millrace\/(pipeline|onnx|testing)$/.test(specifier)) return false
      return !(specifier === 'vitest' && from.endsWith('.test.ts')) && !dependenciesOf(own).has(packageOf(specifier))
    })
    expect(wrong.map(say)).toEqual([])
  })
})

describe('public', () => {
  const pages = readSources(ROOT, 'public', ['.js', '.html', '.css', '.svg', '.webmanifest'])

  test('modules import their neighbours by file name', () => {
    const inside = pages.flatMap((source) => source.imports)
    const wrong = inside.filter(({ to }) => !to?.startsWith('public/') || !existsSync(join(ROOT, to)))
    expect(wrong.map(say)).toEqual([])
    expect(cycles(pages)).toEqual([])
  })

  test('nothing is fetched from another host', () => {
    const foreign = pages.flatMap(({ path, code }) =>
      // XML namespaces are names, not fetched.
      [
        ...code
          .replaceAll('http://www.w3.org/', '')
          .matchAll(
            /(?:src|href|action)=["'](?:https?:)?\/\/[^"']+|@import\b.*|url\(\s*["']?(?:https?:)?\/\/[^)]+|(?:fetch|EventSource|WebSocket)\(\s*["'`](?:https?:|wss?:)?\/\/[^"'`]+/g,
          ),
      ].map(([what]) => `${path}: ${what}`),
    )
    expect(foreign).toEqual([])
  })

  test('no file is too long', () => {
    const long = pages.filter(({ lines }) => lines > MAX_LINES).map(({ path, lines }) => `${path}: ${lines} lines`)
    expect(long).toEqual([])
  })
})

describe('test and bench', () => {
  test('a folder holds at most fifteen files', () => {
    const files = ['test', 'bench'].flatMap((folder) => readSources(ROOT, folder, ['.ts']))
    // One package each, with a file per pipeline.
    expect(fullFolders(files.filter(({ path }) => !path.startsWith('test/fixtures/')))).toEqual([])
  })
})

describe('the import scanner', () => {
  const read = (code: string) =>
    findImports('src/a/b.ts', code).map(({ to, specifier, typeOnly }) => [to ?? specifier, typeOnly])

  test.each<[string, [string, boolean][]]>([
    ["import { a } from './c.ts'", [['src/a/c.ts', false]]],
    ["import type { A } from '../d/e.ts'", [['src/d/e.ts', true]]],
    ["import { type A, type B } from '../d/e.ts'", [['src/d/e.ts', true]]],
    ["import { type A, b } from '../d/e.ts'", [['src/d/e.ts', false]]],
    ["import {\n  a,\n  b,\n} from './c.ts'", [['src/a/c.ts', false]]],
    [
      "import './c.ts'\nimport * as x from 'node:fs'",
      [
        ['src/a/c.ts', false],
        ['node:fs', false],
      ],
    ],
    ["export { a } from './c.ts'", [['src/a/c.ts', false]]],
    ["export * from './c.ts'", [['src/a/c.ts', false]]],
    ["const x = await import('./c.ts')", [['src/a/c.ts', false]]],
    ["type X = import('./c.ts').X", [['src/a/c.ts', true]]],
    ["export const from = 'here'\nconst a = 'b'", []],
    ["import x, { y } from 'z'", [['z', false]]],
  ])('%j', (code, expected) => {
    expect(read(code)).toEqual(expected)
  })

  test('cycles are found', () => {
    const file = (path: string, to: string) => ({
      path,
      code: '',
      lines: 1,
      imports: [{ from: path, specifier: '', to, typeOnly: true }],
    })
    expect(cycles([file('a', 'b'), file('b', 'c'), file('c', 'b')])).toEqual([['b', 'c', 'b']])
    expect(cycles([file('a', 'b'), file('b', 'c')])).toEqual([])
  })
})

function fullFolders(files: readonly { path: string }[]): [string, number][] {
  const folders = new Map<string, number>()
  for (const { path } of files) folders.set(dirname(path), (folders.get(dirname(path)) ?? 0) + 1)
  return [...folders].filter(([, count]) => count > MAX_FILES)
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function dependenciesOf(folder: string): Set<string> {
  const file = join(ROOT, folder, 'package.json')
  if (!existsSync(file)) return new Set()
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, string> | undefined>
  return new Set([...Object.keys(manifest.dependencies ?? {}), ...Object.keys(manifest.peerDependencies ?? {})])
}
