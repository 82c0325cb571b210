import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Where a module binds a `PipelineSpec` to a name, and the name under which it starts. */
export type FoundSpec = { name: string; exportName: string }

const SPEC = /^(\w+)\s*(?::[^=\n]+)?=\s*PipelineSpec\(([\s\S]*?)\)\s*$/gm
const SDK = /^Requires-Dist: *ai-runner\b/im

/**
 * Packages for ai-runner 0.14 declare no entry point: their `main.py` makes a `PipelineSpec` and passes it to
 * `start_app`. Finds these in an installed distribution by parsing its text, because no code may run before a stream
 * needs it.
 */
export function findSpecs(info: string, metadata: string): FoundSpec[] {
  const record = join(info, 'RECORD')
  if (!SDK.test(metadata) || !existsSync(record)) return []
  return readFileSync(record, 'utf8')
    .split(/\r?\n/)
    .map((line) => line.split(',')[0] ?? '')
    .filter((path) => /(^|\/)main\.py$/.test(path) && !path.startsWith('..'))
    .flatMap((path) => specsIn(join(dirname(info), path), path.replace(/\.py$/, '').replaceAll('/', '.')))
}

function specsIn(file: string, module: string): FoundSpec[] {
  if (!existsSync(file)) return []
  return [...readFileSync(file, 'utf8').matchAll(SPEC)].flatMap(([, variable, args = '']) => {
    const name = argument(args, 'name') ?? nameOfClass(argument(args, 'pipeline_cls'))
    return name ? [{ name, exportName: `${module}:${variable}` }] : []
  })
}

function argument(args: string, name: string): string | undefined {
  return new RegExp(`\\b${name}\\s*=\\s*(["'])(.+?)\\1`).exec(args)?.[2]
}

/** The default name that `PipelineSpec` derives. */
function nameOfClass(path: string | undefined): string | undefined {
  return path
    ?.split(':')
    .at(-1)
    ?.toLowerCase()
    .replace(/pipeline$/, '')
}
