import { existsSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { packageFile } from './package-file.ts'

/**
 * The file that a `model` param means: a path from the root; with `./`, one beside the module `base`; one below
 * `modelDir`; or a file of an npm package that is installed beside `base` or the server. Throws with where it was looked
 * for.
 */
export function modelFile(model: string, modelDir: string, base: string): string {
  if (isAbsolute(model) || model.startsWith('./')) {
    const file = isAbsolute(model) ? model : fileURLToPath(new URL(model, base))
    if (existsSync(file)) return file
    throw new Error(`model: there is no file ${file}`)
  }
  const below = join(modelDir, model)
  if (!relative(modelDir, below).startsWith('..') && existsSync(below)) return below
  const reasons: string[] = []
  for (const from of [base, import.meta.url, pathToFileURL(join(process.cwd(), 'package.json')).href]) {
    try {
      return packageFile(model, from)
    } catch (thrown) {
      reasons.push((thrown as Error).message)
    }
  }
  throw new Error(`model: there is no ${model} in MODEL_DIR (${modelDir}), and ${reasons[0]}`)
}
