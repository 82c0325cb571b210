import { afterAll, beforeAll } from 'vitest'
import { discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import { installPythonFixtures, type PythonFolder } from '../../helpers/package/python.ts'
import { sharedModelTests } from '../pipeline/support/shared-streams.ts'

let python: PythonFolder
beforeAll(async () => {
  python = await installPythonFixtures('my-pipeline', 'odd-pipelines')
}, 400_000)
afterAll(() => python?.[Symbol.dispose]())

sharedModelTests('py-shared', () => discoverPipelines({ pipelineDir: python.directory }))
