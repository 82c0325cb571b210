import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import { preparePipeline } from '../../../src/pipeline/supervision/pool/prepare.ts'
import { LogCollector } from '../../helpers/server/logs.ts'
import { play, until } from './support/hosts.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PAGE = readFileSync(join(ROOT, 'docs/pipeline-sdk.md'), 'utf8')

let directory: string
const examples = [...PAGE.matchAll(/^```\w+ file=(\S+)\n([\s\S]*?)^```$/gm)].map(([, file, text]) => ({
  file: file!,
  text: text!,
}))
const names = Object.keys((JSON.parse(examples[0]!.text) as { millrace: { pipelines: object } }).millrace.pipelines)

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-docs-'))
  for (const { file, text } of examples) {
    mkdirSync(dirname(join(directory, 'my-pipelines', file)), { recursive: true })
    writeFileSync(join(directory, 'my-pipelines', file), text)
  }
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('the page has examples, and each one is in the package', () => {
  expect(names).toEqual(['brighten', 'brighten-much', 'echo', 'between', 'models'])
  expect(PAGE.match(/^```(ts|json)/gm)).toHaveLength(examples.length)
})

test('they compile as strictly as the server itself', () => {
  const options = { typeRoots: [join(ROOT, 'node_modules/@types')] }
  const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions: options, include: ['my-pipelines'] }
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config))
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  expect(() => execFileSync(tsc, ['-p', directory], { encoding: 'utf8', stdio: 'pipe' })).not.toThrow()
})

test.each(names)('%s runs', async (name) => {
  const catalog = await discoverPipelines({ pipelineDir: directory })
  expect(catalog.rejected).toEqual([])
  await using stage = await play(name, { catalog, defaultPipeline: name })
  await until('outputs', () => stage.source.outputs.length > 30)
  expect(stage.told.errors).toEqual([])
  const description = await stage.pool.describe(name)
  if (name === 'brighten-much') expect(description.defaults).toMatchObject({ amount: 80 })
  if (name === 'between') expect(stage.lease.stats().frames.out).toBeGreaterThan(1.5 * stage.lease.stats().frames.in)
  if (name === 'models') {
    expect(stage.lease.input).toEqual({ format: 'gray', width: 128, height: 96 })
    await stage.lease.updateParams('merge', { gain: 2 })
    const reply = await stage.lease.updateParams('merge', { model: 'large' })
    expect(reply.status).toBe('accepted')
    await until('the large model', () => stage.lease.params.value.model === 'large')
  }
})

test('prepare calls prepareModels', async () => {
  const { pipelines } = await discoverPipelines({ pipelineDir: directory })
  const logs = new LogCollector()
  const options = { entry: pipelines.get('models')!, params: {}, modelDir: join(directory, 'models') }
  await preparePipeline(options, { log: logs.log })
  expect(logs.named('this is where a download would go')).toMatchObject([{ modelDir: options.modelDir }])
})
