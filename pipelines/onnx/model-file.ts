import { existsSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageFile } from 'millrace/onnx'

/**
 * The file that a `model` param means: a path from the root, one below `modelDir`, or a file of an npm package that is
 * installed beside the server. Throws with where it was looked for.
 */
export function modelFile(model: string, modelDir: string): string {
  if (isAbsolute(model)) {
    if (existsSync(model)) return model
    throw new Error(`model: there is no file ${model}`)
  }
  const below = join(modelDir, model)
  if (!relative(modelDir, below).startsWith('..') && existsSync(below)) return below
  const reasons: string[] = []
  for (const from of [import.meta.url, pathToFileURL(join(process.cwd(), 'package.json')).href]) {
    try {
      return packageFile(model, from)
    } catch (thrown) {
      reasons.push((thrown as Error).message)
    }
  }
  throw new Error(`model: there is no ${model} in MODEL_DIR (${modelDir}), and ${reasons[0]}`)
}
