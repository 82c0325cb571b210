import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Child } from '../../src/core/child.ts'
import { makeNumberedClip } from './media/clip.ts'
import { waitFor } from './wait.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** A package whose pipeline paints the lower half of each frame grey, and sends the level as data. */
export type DevPackage = {
  /** By path. */
  files: Record<string, string>
  /** The file with the level, of one line. */
  levelFile: string
  /** Its text, with the level or an error. */
  levelText(level: string): string
}

export const TYPESCRIPT: DevPackage = {
  files: {
    'package.json': JSON.stringify({
      name: 'levels',
      version: '1.0.0',
      type: 'module',
      millrace: { pipelines: { levels: './dist/pipeline.js#Levels' } },
    }),
    'src/pipeline.ts': `import { BaseParams, definePipeline, z } from 'millrace/pipeline'
import { LEVEL } from './level.ts'

export const Levels = definePipeline({
  params: BaseParams.extend({ extra: z.number().default(0) }),
  load: () => ({
    process: (frame, { extra }) => {
      const luma = frame.width * frame.height
      frame.data.fill(LEVEL + extra, luma / 2, luma)
      return { frame, data: { level: LEVEL } }
    },
  }),
})
`,
    'src/level.ts': 'export const LEVEL = 40\n',
  },
  levelFile: 'src/level.ts',
  levelText: (level) => `export const LEVEL = ${level}\n`,
}

export const PYTHON: DevPackage = {
  files: {
    'pyproject.toml': `[project]
name = "levels"
version = "1.0.0"

[project.entry-points."millrace.pipelines"]
levels = "levels:Levels"
`,
    'src/levels/__init__.py': `import asyncio

import numpy as np
from millrace_pipeline import BaseParams, Pipeline, VideoOutput
from .level import LEVEL


class LevelsParams(BaseParams):
    extra: int = 0


class Levels(Pipeline):
    Params = LevelsParams

    async def initialize(self, **params):
        self.outputs = asyncio.Queue(8)
        self.extra = params.get("extra", 0)

    async def update_params(self, **params):
        self.extra = params.get("extra", 0)

    async def put_video_frame(self, frame, request_id):
        data = frame.data.copy()
        data[data.shape[0] // 2 :] = LEVEL + self.extra
        self.emit({"level": np.int64(LEVEL)}, frame.pts)
        await self.outputs.put(VideoOutput(frame.replace_data(data), request_id))

    async def get_processed_video_frame(self):
        return await self.outputs.get()
`,
    'src/levels/level.py': 'LEVEL = 40\n',
  },
  levelFile: 'src/levels/level.py',
  levelText: (level) => `LEVEL = ${level}\n`,
}

export type Dev = AsyncDisposable & {
  readonly url: string
  /** Its output so far. */
  text(): string
  save(file: string, text: string): void
}

export type DevOptions = {
  /** Parent folder of the package and the clip. */
  folder: string
  package: DevPackage
  /** In pixels; default 320. */
  width?: number
  height?: number
  /** Default 15. */
  fps?: number
  env?: Record<string, string>
}

/** `millrace dev` on a package, with a clip of numbered frames. */
export async function startDev(options: DevOptions): Promise<Dev> {
  const { folder, package: own, width = 320, height = 320, fps = 15, env = {} } = options
  const root = join(folder, 'package')
  const save = (file: string, text: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
  for (const [file, text] of Object.entries(own.files)) save(file, text)
  const clip = join(folder, 'clip.ts')
  await makeNumberedClip({ file: clip, seconds: 240, width, height, fps, kbps: 500 })
  const child = await Child.spawn({
    command: process.execPath,
    args: [CLI, 'dev', root, '--input', clip, '--port', '0'],
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, AUTH_TOKEN: '', UDP_PORT: '0', MILLRACE: '', ...env },
  })
  let text = ''
  for (const stream of [child.process.stdout, child.process.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  const close = async () => void (await child.close())
  try {
    const url = await waitFor(
      'the address',
      async () => {
        if (child.exit) throw new Error(text)
        return / on air after/.test(text) && /(http:\S+)\/\?stream=dev/.exec(text)?.[1]
      },
      { limitMs: 180_000 },
    )
    return { url, text: () => text, save, [Symbol.asyncDispose]: close }
  } catch (thrown) {
    await close()
    throw new Error(`${thrown}: ${text}`)
  }
}
