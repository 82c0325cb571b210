import type { Context } from '../../../core/resource.ts'
import type { PipelineEntry } from '../../catalog/entry.ts'
import { imported } from '../../host/host.ts'
import { type RunnerOptions, RunnerProcess } from '../../host/process.ts'
import { Reaper } from '../../host/reaper.ts'
import type { Description, Values } from '../../protocol.ts'

/** Describes a pipeline, using a runner of its own. Throws `pipeline-failed`. */
export async function describeRunner(
  request: Omit<RunnerOptions, 'mode' | 'frames' | 'params' | 'revision'>,
  context: Context,
): Promise<Description> {
  await using runner = await RunnerProcess.open({ ...request, mode: 'describe', params: {}, revision: 0 }, context)
  const { description } = await imported(runner, request.entry, context)
  return description
}

export type PrepareOptions = { entry: PipelineEntry; params: Values; modelDir: string }

/**
 * Lets a pipeline download or compile its models, in a runner of its own; its output goes to the log. Throws
 * `pipeline-failed`.
 */
export async function preparePipeline({ entry, params, modelDir }: PrepareOptions, context: Context): Promise<void> {
  await using reaper = await Reaper.open()
  const request = { entry, initial: params, params, revision: 0, modelDir, reaper }
  await using runner = await RunnerProcess.open({ ...request, mode: 'prepare' }, context)
  const log = context.log.child({ pipeline: entry.name })
  runner.events.on('line', (line) => log.info(line))
  runner.events.on('message', (message) => {
    if (message.type === 'log') log[message.level](message.fields ?? {}, message.message)
  })
  const stop = () => void runner.close()
  context.signal?.addEventListener('abort', stop, { once: true })
  const { error } = await runner.closed
  context.signal?.removeEventListener('abort', stop)
  if (error) throw error
}
