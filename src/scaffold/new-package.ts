import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { AppError } from '../core/errors.ts'
import { templateFiles } from './template.ts'

export type NewPackageOptions = {
  /** A folder that does not exist, or is empty; its last part is the name of the package and of the pipeline. */
  directory: string
  /** What `package.json` asks of millrace: a range of versions, or a folder as `file:…`. */
  millrace: string
  /** Versions of the tools, as in this package. */
  tools: { typescript: string; vitest: string; nodeTypes: string }
}

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/

/**
 * Writes a pipeline package with a test, and returns the paths of its files. Throws `invalid-request` when the folder is
 * in use or its name cannot be that of a package.
 */
export function writeNewPackage({ directory, millrace, tools }: NewPackageOptions): string[] {
  const folder = resolve(directory)
  const name = basename(folder)
  if (!NAME.test(name) || name.length > 64)
    throw new AppError(
      'invalid-request',
      `"${name}" cannot be the name of a package: small letters, digits and single dashes, with a letter first`,
    )
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new AppError('invalid-request', `${folder} exists and is not empty`)
  const files = templateFiles({ name, className: pascalCase(name), millrace, ...tools })
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  return Object.keys(files)
}

function pascalCase(name: string): string {
  return name.replace(/(^|-)(.)/g, (_, _dash, letter: string) => letter.toUpperCase())
}
