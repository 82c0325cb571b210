import { existsSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { packageFile } from '../package-file.ts'

/**
 * The file that a `model` param names: below `modelDir`, by a path relative to it or to the root; with `./`, beside or
 * below the module `base`; or in an npm package installed beside `base` or the server. Publishers may set the param, so
 * no other place is read; links that the operator makes inside `modelDir` are followed. Throws an error that lists the
 * places searched.
 */
export function modelFile(model: string, modelDir: string, base: string): string {
  if (isAbsolute(model)) return existing(within(modelDir, model, 'MODEL_DIR'))
  if (model.startsWith('./')) return existing(within(dirname(fileURLToPath(base)), model, 'the package'))
  const below = within(modelDir, model, 'MODEL_DIR')
  if (existsSync(below)) return below
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

function within(folder: string, path: string, name: string): string {
  const file = resolve(folder, path)
  const way = relative(resolve(folder), file)
  if (way.startsWith('..') || isAbsolute(way))
    throw new Error(`model: ${path} is not in ${name}, and only what is there is read; put or link the model there`)
  return file
}

function existing(file: string): string {
  if (existsSync(file)) return file
  throw new Error(`model: there is no file ${file}`)
}
