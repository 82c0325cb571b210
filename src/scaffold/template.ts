import { readme } from './template-readme.ts'

export type TemplateValues = {
  name: string
  className: string
  millrace: string
  typescript: string
  vitest: string
  nodeTypes: string
}

/** The files of a new pipeline package, by their paths. */
export function templateFiles(values: TemplateValues): Record<string, string> {
  return {
    'package.json': `${JSON.stringify(manifest(values), null, 2)}\n`,
    'tsconfig.json': `${JSON.stringify(TSCONFIG, null, 2)}\n`,
    'src/params.ts': params(values),
    'src/pipeline.ts': pipeline(values),
    'test/pipeline.test.ts': test(values),
    'README.md': readme(values),
    Dockerfile: dockerfile(values),
    '.dockerignore': 'node_modules\ndist\n',
    '.gitignore': 'node_modules/\ndist/\nmodels/\n*.tgz\n',
  }
}

function manifest({ name, className, millrace, typescript, vitest, nodeTypes }: TemplateValues) {
  const entry = `./dist/pipeline.js#${className}`
  return {
    name,
    version: '0.1.0',
    description: 'A Millrace pipeline that turns the picture into its negative',
    license: 'MIT',
    type: 'module',
    keywords: ['millrace', 'millrace-pipeline'],
    files: ['dist'],
    millrace: { pipelines: { [name]: entry, [`${name}-soft`]: { entry, params: { strength: 0.4 } } } },
    scripts: {
      build: 'tsc',
      prepack: 'npm run build',
      test: 'vitest run',
      start: `npm run build && millrace serve --pipeline ${name}`,
    },
    peerDependencies: { millrace: millrace.startsWith('file:') ? '^0.1.0' : millrace },
    devDependencies: { '@types/node': nodeTypes, millrace, typescript, vitest },
    engines: { node: '>=24' },
  }
}

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2024',
    module: 'NodeNext',
    types: ['node'],
    rootDir: 'src',
    outDir: 'dist',
    declaration: true,
    strict: true,
    noUncheckedIndexedAccess: true,
    noImplicitOverride: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
    skipLibCheck: true,
  },
  include: ['src'],
}

function params({ className }: TemplateValues): string {
  return `import { BaseParams, z } from 'millrace/pipeline'

// In a file of its own, without heavy imports: it is read before the model loads.
export const ${className}Params = BaseParams.extend({
  strength: z.number().min(0).max(1).default(0.8).describe('From 0, the picture as it came, to 1, its negative'),
})
export type ${className}Params = z.output<typeof ${className}Params>
`
}

function pipeline({ className }: TemplateValues): string {
  return `import { definePipeline } from 'millrace/pipeline'
import { ${className}Params } from './params.ts'

export const ${className} = definePipeline({
  description: 'Turns the picture into its negative',
  params: ${className}Params,
  input: { format: 'rgb24' },

  // Load the model here. Import heavy packages with \`await import(…)\`, and keep nothing in the module itself.
  load(_params, { name, log }) {
    log.info({ name }, 'loaded')
    return {
      // Called for the newest frame each time, with the params in force for it.
      process(frame, { strength }) {
        const levels = Uint8Array.from({ length: 256 }, (_, level) => level + (255 - 2 * level) * strength)
        return { ...frame, data: frame.data.map((level) => levels[level]!) }
      },
    }
  },
})
`
}

function test({ className }: TemplateValues): string {
  return `import { pipelineContract, runPipeline, testFrames } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { ${className} } from '../src/pipeline.ts'

describe('what the server expects of every pipeline', () => {
  const paramsModule = new URL('../src/params.ts', import.meta.url).href
  for (const { name, run } of pipelineContract(${className}, { change: { strength: 0.2 }, paramsModule })) test(name, run)
})

test('strength 1 is the negative, 0 the picture as it came', async () => {
  const frames = testFrames(${className}, 1)
  const negative = await runPipeline(${className}, frames, { strength: 1 })
  expect(negative.outputs[0]?.data[0]).toBe(255 - frames[0]!.data[0]!)
  const same = await runPipeline(${className}, frames, { strength: 0 })
  expect(same.outputs).toEqual(frames)
})
`
}

function dockerfile({ name }: TemplateValues): string {
  return `# syntax=docker/dockerfile:1
# The server's image, built from its own repository: docker build -t millrace -f docker/Dockerfile .
ARG MILLRACE_IMAGE=millrace

FROM node:24-slim AS build
WORKDIR /build
COPY package*.json ./
RUN --mount=type=cache,target=/root/.npm npm install --ignore-scripts
COPY . .
RUN npm run build && npm pack --ignore-scripts --pack-destination /tmp

FROM \${MILLRACE_IMAGE}
ENV PIPELINE_DIR=/pipelines PIPELINE=${name}
COPY --from=build /tmp/*.tgz /tmp/
# The server is here already, so npm need not fetch it as a peer.
RUN npm install --prefix /pipelines --legacy-peer-deps --ignore-scripts /tmp/*.tgz && millrace prepare ${name}
`
}
