import { existsSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { AppError } from '../core/errors.ts'

const SPECIFIER = /^((?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*)\/(.+)$/i

/**
 * The absolute path of a file in an installed npm package, such as `some-models/assets/depth.onnx`, whether or not the
 * package exports it. `from` is the caller's `import.meta.url`. Throws `not-found`, which says what is missing.
 */
export function packageFile(specifier: string, from: string): string {
  const [, name, path] = SPECIFIER.exec(specifier) ?? []
  if (!name || !path) throw new AppError('not-found', `"${specifier}" is not a package and a path in it`)
  const manifest = findManifest(name, from)
  if (!manifest) throw new AppError('not-found', `the package ${name} is not installed`)
  const directory = dirname(manifest)
  const file = join(directory, path)
  const within = relative(directory, file)
  if (within.startsWith('..') || isAbsolute(within))
    throw new AppError('not-found', `${specifier} lies outside of its package`)
  if (!existsSync(file)) throw new AppError('not-found', `the package ${name} has no file ${path}`)
  return file
}

function findManifest(name: string, from: string): string | undefined {
  try {
    return findPackageJSON(name, from)
  } catch {
    return undefined
  }
}
