import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import { outsideFolder, writePackage } from '../../helpers/package/outside-package.ts'
import { openTestPool, play, until } from './support/hosts.ts'

/** Each throws at a marked line, through a library, the SDK or Node. */
const SOURCE = `import { readFileSync } from 'node:fs'
import { BaseParams, definePipeline, VideoOutput, z } from 'millrace/pipeline'
import { call } from 'some-library'

type Kind = 'plain' | 'library' | 'sdk' | 'node' | 'later' | 'load'
interface Held { frames: number }

function deep(held: Held): never {
  held.frames++
  throw new RangeError('too deep') // plain
}

function open(path: string): void {
  try {
    readFileSync(path) // node
  } catch (cause) {
    throw new Error('no such weights', { cause }) // outer
  }
}

export const Throws = definePipeline({
  params: BaseParams.extend({ kind: z.string() }),
  load(params) {
    const held: Held = { frames: 0 }
    if (params.kind === 'load') deep(held)
    return {
      async process(frame, { kind }) {
        await null
        if (kind === 'plain') deep(held)
        if (kind === 'library') call(() => deep(held))
        if (kind === 'sdk') new VideoOutput({ ...frame, width: 0.5 }, 'x') // sdk
        if (kind === 'node') open('/nowhere/at/all')
        return frame
      },
    }
  },
})
`
const line = (mark: string) => SOURCE.split('\n').findIndex((text) => text.endsWith(`// ${mark}`)) + 1

const folder = outsideFolder()
const at = (path: string) => join(folder.path, path)
const builtinDir = fileURLToPath(new URL('../../../pipelines', import.meta.url))
const catalog = () => discoverPipelines({ builtinDir, pipelineDir: folder.path })

beforeAll(() => {
  const pipelines = {
    throws: './src/throws.ts#Throws',
    broken: './broken.ts#Broken',
    lacks: './lacks.js#Lacks',
    built: './dist/built.js#Built',
  }
  // Compiled TypeScript with a source map: line 3 of the output is line 7 of the source.
  const mappings = ';;AAMA'
  const map = { version: 3, file: 'built.js', sources: ['../src/built.ts'], names: [], mappings }
  const files = {
    'src/throws.ts': SOURCE,
    'broken.ts':
      "import { definePipeline } from 'millrace/pipeline'\n\nexport const Broken = definePipeline({ load( }\n",
    'lacks.js':
      "import { definePipeline } from 'millrace/pipeline'\nconst model = weights.open()\nexport const Lacks = definePipeline({ load: () => model })\n",
    'dist/built.js':
      "import { definePipeline } from 'millrace/pipeline'\nexport const Built = definePipeline({ load() {\nthrow new Error('of the build') } })\n//# sourceMappingURL=built.js.map\n",
    'dist/built.js.map': JSON.stringify(map),
    'node_modules/some-library/package.json':
      '{"name":"some-library","version":"1.0.0","type":"module","exports":"./index.js"}',
    'node_modules/some-library/index.js': 'export function call(act) {\n  return act()\n}\n',
  }
  writePackage(at('throws'), { name: 'throws', pipelines, files })
})
afterAll(() => folder[Symbol.dispose]())

/** Returns the first error the pipeline throws on a frame. */
async function thrown(kind: string): Promise<{ message: string; stack: string[] }> {
  await using stage = await play('throws', { catalog: await catalog(), params: { kind } })
  await until('an error', () => stage.told.errors.length > 0)
  const [logged] = stage.logs.named('the pipeline threw')
  return logged as unknown as { message: string; stack: string[] }
}

const file = at('throws/src/throws.ts')

test.each([
  { kind: 'plain', message: 'RangeError: too deep', first: `at deep (${file}:${line('plain')}:` },
  { kind: 'library', message: 'RangeError: too deep', first: `at deep (${file}:${line('plain')}:` },
  { kind: 'sdk', message: /^\w*Error: .+/, first: `at process (${file}:${line('sdk')}:` },
  { kind: 'node', message: 'Error: no such weights', first: `at open (${file}:${line('outer')}:` },
])(
  'the stack of an error thrown on a frame ($kind) shows only lines of the author',
  async ({ kind, message, first }) => {
    const error = await thrown(kind)
    expect(error.message).toMatch(message)
    const place = first.slice(first.indexOf('(') + 1)
    expect(error.message).toContain(` (${place}`)
    expect(error.stack[0]).toContain(first)
    expect(error.stack.filter((one) => !one.includes(file))).toEqual([])
    if (kind !== 'sdk') expect(error.stack.length).toBeGreaterThan(1)
    if (kind === 'node')
      expect(error.message).toMatch(new RegExp(`; caused by Error: ENOENT.* \\(${file}:${line('node')}:\\d+\\)$`))
  },
)

test.each([
  { pipeline: 'throws', params: { kind: 'load' }, says: `RangeError: too deep (${file}:${line('plain')}:` },
  { pipeline: 'built', params: {}, says: `Error: of the build (${at('throws/src/built.ts')}:7:` },
])('$pipeline, which fails to load, reports the line', async ({ pipeline, params, says }) => {
  await using stage = await play(pipeline, { catalog: await catalog(), params })
  await until('a restart', () => stage.told.restarts.length > 0)
  expect(stage.told.restarts[0]!.reason).toContain(says)
})

test.each([
  { pipeline: 'broken', says: /^could not import .*broken\.ts: .*\(.*\/throws\/broken\.ts:3\b/ },
  { pipeline: 'lacks', says: /^could not import .*lacks\.js: weights is not defined \(.*\/throws\/lacks\.js:2:15\)$/ },
])('$pipeline, which cannot be imported, reports the line', async ({ pipeline, says }) => {
  await using test = await openTestPool({ catalog: await catalog() })
  const error = await test.pool.describe(pipeline).then(
    () => undefined,
    (error) => error,
  )
  expect(error.message).toMatch(says)
  expect(error.details.stack[0]).toContain(pathToFileURL(at('throws')).pathname)
})
