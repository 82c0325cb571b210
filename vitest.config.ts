import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { FailedList } from './test/helpers/failed-list.ts'

const sdk = (name: string) => fileURLToPath(new URL(`./src/sdk/${name}.ts`, import.meta.url))

/** What they assert is a time or a rate, and two cores are little for a server and a browser at 720p: nothing runs beside them. */
const TIMING = [
  'test/e2e/{input/first-seconds,lives/steady,webrtc/{watch,whip}}.test.ts',
  'test/process/webrtc/chromium-loss.test.ts',
]

/** What they assert is a time or a rate, of little work: two of them leave each other room. */
const PACED = [
  'test/e2e/{input/{mpegts-audio,timestamps},page/{compare,input-view},pipelines/{audio,minute,swap}}.test.ts',
  'test/process/pipeline/long.test.ts',
]

/** They wait for deadlines, for runners that start, and for small clips in real time more than they work. */
const WAITING = [
  'test/e2e/input/{clock-jumps,colours,frame-form,slow-source}.test.ts',
  'test/e2e/lives/{decoder-comes-back,drain,ending,lives,misbehaving,reconnect,start-fails}.test.ts',
  'test/process/pipeline/{chain,params,pause,shared,stacks}.test.ts',
  'test/process/pipeline/misbehaving/*.test.ts',
  'test/security/{half-open,slow-viewers}.test.ts',
]

/** The files that take longest begin first: one of them at the end would run alone. */
const LONG = [
  'python/runner',
  'e2e/api/schemathesis',
  'e2e/api/docs',
  'e2e/page/page',
  'e2e/api/recording',
  'e2e/pipelines/dev',
  'cli/run',
  'cli/audio-files',
  'e2e/page/required-params',
  'e2e/page/accessibility',
  'e2e/lives/thousand-lives',
  'e2e/lives/lives',
  'misbehaving/start',
  'misbehaving/frames',
  'e2e/input/colours',
  'e2e/lives/ending',
  'e2e/input/frame-form',
  'e2e/lives/misbehaving',
  'e2e/pipelines/audio',
  'e2e/pipelines/minute',
  'pipeline/long',
  'e2e/input/timestamps',
  'security/capabilities',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`))
      return at < 0 ? LONG.length : at
    }
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b))
  }
}

export default defineConfig({
  resolve: {
    alias: {
      'millrace/pipeline': sdk('pipeline'),
      'millrace/onnx': sdk('onnx'),
      'millrace/testing': sdk('testing'),
      'millrace/client': fileURLToPath(new URL('public/client/index.js', import.meta.url)),
    },
  },
  test: {
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    reporters: process.env.CI ? ['default', new FailedList()] : 'default',
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'examples/{external-pipeline,line-counter}/test/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'real',
          include: ['test/{process,e2e,contract,security}/**/*.test.ts', 'pipelines/*/*.test.ts'],
          exclude: [...configDefaults.exclude, ...TIMING, ...PACED, ...WAITING],
          setupFiles: ['test/helpers/worker.ts'],
          // Each is a server with encoders, and often a browser: two at once keep two cores busy, four make all of them wait.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'waiting',
          include: WAITING,
          setupFiles: ['test/helpers/worker.ts'],
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'paced',
          include: PACED,
          setupFiles: ['test/helpers/worker.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 3 },
        },
      },
      {
        extends: true,
        test: {
          name: 'timing',
          include: TIMING,
          setupFiles: ['test/helpers/worker.ts'],
          maxWorkers: 1,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
})
