import { delimiter } from 'node:path'
import { env, execPath } from 'node:process'
import { fileURLToPath } from 'node:url'
import type { PipelineEntry } from '../catalog/entry.ts'

/** The program that runs a pipeline: one runner for each language, over the same descriptors and messages. */
export type Program = { command: string; args: string[]; env: NodeJS.ProcessEnv }

const NODE_RUNNER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../runner/runner.ts' : '../runner/runner.js', import.meta.url),
)
const PYTHON_SOURCES = fileURLToPath(new URL('../../../python/src', import.meta.url))

/**
 * V8 takes each frame's memory for growth of a small heap, and would look through all of it every dozen frames; with
 * room for four times what is in use it does so a third as often.
 */
const GROWING = '--heap-growing-percent=300'

export function programOf(entry: PipelineEntry): Program {
  if (!entry.interpreter)
    return {
      command: execPath,
      args: ['--disable-warning=ExperimentalWarning', GROWING, '--expose-gc', NODE_RUNNER],
      env: {},
    }
  return {
    command: entry.interpreter,
    args: ['-m', 'millrace_runner'],
    env: {
      // The server's SDK comes before any copy that the package's environment has, so that runner and SDK fit.
      PYTHONPATH: [PYTHON_SOURCES, env.PYTHONPATH].filter(Boolean).join(delimiter),
      PYTHONUNBUFFERED: '1',
      PYTHONDONTWRITEBYTECODE: '1',
      // A frame is too small to be worth sharing among threads: measured, two threads triple the cost of a tensor.
      OMP_NUM_THREADS: env.OMP_NUM_THREADS ?? '1',
    },
  }
}
