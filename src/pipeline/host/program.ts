import { delimiter } from 'node:path'
import { env, execPath } from 'node:process'
import { fileURLToPath } from 'node:url'
import type { PipelineEntry } from '../catalog/entry.ts'

/** The program that runs a pipeline: one runner per language, with the same descriptors and messages. */
export type Program = { command: string; args: string[]; env: NodeJS.ProcessEnv }

const NODE_RUNNER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../runner/runner.ts' : '../runner/runner.js', import.meta.url),
)
/** Folder of the Python SDK and runner. */
export const PYTHON_SOURCES = fileURLToPath(new URL('../../../python/src', import.meta.url))

/** Like `-m millrace_runner`, but without the server's working directory, whose `app` would hide the SDK's. */
const PYTHON_RUNNER =
  'import sys; del sys.path[0]; import runpy; runpy.run_module("millrace_runner", run_name="__main__", alter_sys=True)'

/**
 * V8 counts each frame's memory as growth of a small heap and would collect all of it every dozen frames; with room for
 * four times what is in use it does so a third as often.
 */
const GROWING = '--heap-growing-percent=300'

/**
 * Time limit for importing an author's module: with torch it takes 17 s on a busy machine, and longer from a cold disk.
 */
export function importMs({ interpreter }: PipelineEntry): number {
  return interpreter ? 120_000 : 30_000
}

export function programOf(entry: PipelineEntry): Program {
  if (!entry.interpreter)
    return {
      command: execPath,
      args: ['--disable-warning=ExperimentalWarning', GROWING, '--expose-gc', NODE_RUNNER],
      env: {},
    }
  return {
    command: entry.interpreter,
    args: ['-c', PYTHON_RUNNER],
    env: {
      // The server's SDK comes before any copy in the package's environment, so that runner and SDK match.
      PYTHONPATH: [PYTHON_SOURCES, ...(entry.modules ?? []), env.PYTHONPATH].filter(Boolean).join(delimiter),
      PYTHONUNBUFFERED: '1',
      PYTHONDONTWRITEBYTECODE: '1',
      // A frame is too small to divide among threads: measured, two threads triple the cost of a tensor.
      OMP_NUM_THREADS: env.OMP_NUM_THREADS ?? '1',
    },
  }
}
