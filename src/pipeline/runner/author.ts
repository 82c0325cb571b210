import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { z } from 'zod'
import { AppError } from '../../core/errors.ts'
import { BaseParams } from '../../sdk/base-params.ts'
import { Pipeline, type PipelineClass } from '../../sdk/pipeline-class.ts'
import type { Description, Values } from '../protocol.ts'

const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

/**
 * `millrace/…` in an author's code, and in that of its dependencies, is the SDK of the server that runs it, whatever
 * copy lies in their tree: there is one `Pipeline` class, and frames fit.
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

/** Imports an author's class. Throws `pipeline-failed` with what is wrong with it. */
export async function importPipeline(entryFile: string, exportName: string): Promise<PipelineClass> {
  let module: Record<string, unknown>
  try {
    module = await import(pathToFileURL(entryFile).href)
  } catch (cause) {
    const stack = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
    throw new AppError('pipeline-failed', `could not import ${entryFile}: ${firstLine(cause)}`, {
      cause,
      details: { stack: stack.split('\n').slice(0, 20) },
    })
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
  if (!(pipeline.Params instanceof z.ZodType))
    throw new AppError('pipeline-failed', `${exportName}.Params must be BaseParams or an extension of it`)
  return pipeline
}

/** What the API tells of a pipeline. `initial` are the variant's own params. */
export function describePipeline(pipeline: PipelineClass, initial: Values): Description {
  const schema = z.toJSONSchema(pipeline.Params, { io: 'input', unrepresentable: 'any' }) as Values
  const properties = (schema.properties ?? {}) as Values
  const missing = Object.keys(BaseParams.shape).filter((key) => !(key in properties))
  if (missing.length > 0)
    throw new AppError('pipeline-failed', `Params must extend BaseParams: ${missing.join(', ')} missing`)
  const parsed = pipeline.Params.safeParse(initial)
  const defaults = (parsed.success ? parsed.data : initial) as Values
  const { description, input } = pipeline
  return { ...(description && { description }), input: input ?? {}, schema, defaults }
}

function firstLine(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0] ?? ''
}
