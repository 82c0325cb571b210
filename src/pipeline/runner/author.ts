import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { z } from 'zod'
import { AppError } from '../../core/errors.ts'
import { BaseParams } from '../../sdk/base-params.ts'
import { audioOf, Pipeline, type PipelineClass } from '../../sdk/pipeline-class.ts'
import type { Description, Values } from '../protocol.ts'
import { authorPlace } from './author-stack.ts'
import { shownParams } from './shown-params.ts'

/** Each has its own ring. */
const MAX_STREAMS = 64

const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

/**
 * Resolves `millrace/…` in author code and its dependencies to the SDK of the running server, whatever copy is in their
 * tree, so that there is only one `Pipeline` class.
 */
export function useServerSdk(): void {
  registerHooks({
    resolve(specifier, context, next) {
      const name = /^millrace\/([a-z-]+)$/.exec(specifier)?.[1]
      const url = name && new URL(`../../sdk/${name}${EXTENSION}`, import.meta.url)
      if (url && existsSync(fileURLToPath(url))) return { url: url.href, shortCircuit: true }
      return next(specifier, context)
    },
  })
}

/** Imports an author's class. Throws `pipeline-failed` if it is not valid, with the reason. */
export async function importPipeline(entryFile: string, exportName: string): Promise<PipelineClass> {
  let module: Record<string, unknown>
  try {
    module = await import(pathToFileURL(entryFile).href)
  } catch (cause) {
    const place = authorPlace(cause)
    const where = place === undefined ? '' : ` (${place})`
    throw new AppError('pipeline-failed', `could not import ${entryFile}: ${firstLine(cause)}${where}`, { cause })
  }
  const found = module[exportName]
  if (typeof found !== 'function' || !(found.prototype instanceof Pipeline)) {
    const exports = Object.keys(module).join(', ') || 'nothing'
    throw new AppError(
      'pipeline-failed',
      `${entryFile} has no pipeline named ${exportName}: it must export a class made with definePipeline, or one that extends Pipeline; it exports ${exports}`,
    )
  }
  const pipeline = found as PipelineClass
  if (!Number.isInteger(pipeline.streams) || pipeline.streams < 1 || pipeline.streams > MAX_STREAMS)
    throw new AppError('pipeline-failed', `${exportName}.streams must be a whole number from 1 to ${MAX_STREAMS}`)
  if (pipeline.streams > 1 && !pipeline.prototype.processBatch)
    throw new AppError('pipeline-failed', `${exportName} is for ${pipeline.streams} streams and needs processBatch`)
  if (!(pipeline.Params instanceof z.ZodType))
    throw new AppError('pipeline-failed', `${exportName}.Params must be BaseParams or an extension of it`)
  return pipeline
}

/** The pipeline's description for the API. `initial` are the variant's own params. */
export function describePipeline(pipeline: PipelineClass, initial: Values): Description {
  const schema = z.toJSONSchema(pipeline.Params, { io: 'input', unrepresentable: 'any' }) as Values
  const properties = (schema.properties ?? {}) as Values
  const missing = Object.keys(BaseParams.shape).filter((key) => !(key in properties))
  if (missing.length > 0)
    throw new AppError('pipeline-failed', `Params must extend BaseParams: ${missing.join(', ')} missing`)
  const parsed = pipeline.Params.safeParse(initial)
  const defaults = parsed.success ? shownParams(pipeline.Params, initial, parsed.data) : initial
  const { description, input, video, streams } = pipeline
  const audio = audioOf(pipeline)
  if (!video && !audio) throw new AppError('pipeline-failed', 'a pipeline with video = false must take or give audio')
  if (streams > 1 && (audio || !video))
    throw new AppError('pipeline-failed', 'a pipeline for several streams takes video only')
  const told = { ...(description && { description }), ...(audio && { audio }) }
  return { ...told, input: input ?? {}, video, schema, defaults, streams }
}

function firstLine(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0] ?? ''
}
