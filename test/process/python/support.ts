import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll } from 'vitest'
import { type Catalog, discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import { installPythonFixtures, type PythonFolder } from '../../helpers/package/python.ts'
import { play, type Stage } from '../pipeline/support/hosts.ts'

/** Packages of `test/fixtures/python`, installed for the tests of a file, and streams on their pipelines. */
export function usePython(...names: string[]) {
  let python: PythonFolder
  beforeAll(async () => {
    python = await installPythonFixtures(...names)
  }, 600_000)
  afterAll(() => python?.[Symbol.dispose]())
  const catalog = (): Promise<Catalog> =>
    discoverPipelines({
      builtinDir: fileURLToPath(new URL('../../../pipelines', import.meta.url)),
      pipelineDir: python.directory,
    })
  return {
    /** PIPELINE_DIR of these tests. */
    get directory() {
      return python.directory
    },
    catalog,
    start: async (pipeline: string, options: Parameters<typeof play>[1] = {}): Promise<Stage> =>
      play(pipeline, { catalog: await catalog(), ...options }),
  }
}
