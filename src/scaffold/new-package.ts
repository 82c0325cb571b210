import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AppError } from '../core/errors.ts'

export type NewPackageOptions = {
  /** A folder that does not exist, or is empty; its last part is the name of the package and of the pipeline. */
  directory: string
  /** Of this server. */
  version: string
  /** A folder to take millrace from instead of the registry. */
  checkout?: string
  /** What `package.json` asks of the tools, by their names. */
  tools: Record<string, string>
}

const TEMPLATE = fileURLToPath(new URL('./template', import.meta.url))
const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/
/** npm leaves these out of a package under their own names. */
const DOTTED = ['gitignore', 'dockerignore']

type Manifest = { peerDependencies: Record<string, string>; devDependencies: Record<string, string> }

/**
 * Writes a pipeline package with a test, and returns the paths of its files. Throws `invalid-request` when the folder is
 * in use or its name cannot be that of a package.
 */
export function writeNewPackage(options: NewPackageOptions): string[] {
  const folder = resolve(options.directory)
  const name = basename(folder)
  if (!NAME.test(name) || name.length > 64)
    throw new AppError(
      'invalid-request',
      `"${name}" cannot be the name of a package: small letters, digits and single dashes, with a letter first`,
    )
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new AppError('invalid-request', `${folder} exists and is not empty`)
  const paths = readdirSync(TEMPLATE, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(TEMPLATE, join(parentPath, name)))
  return paths.sort().map((path) => {
    const text = readFileSync(join(TEMPLATE, path), 'utf8')
      .replaceAll('my-pipeline', name)
      .replaceAll('MyPipeline', pascalCase(name))
    const written = DOTTED.includes(path) ? `.${path}` : path
    mkdirSync(dirname(join(folder, written)), { recursive: true })
    writeFileSync(join(folder, written), path === 'package.json' ? withVersions(text, options) : text)
    return written
  })
}

/** The template asks for any version of everything. */
function withVersions(text: string, { version, checkout, tools }: NewPackageOptions): string {
  const manifest = JSON.parse(text) as Manifest
  const range = `^${version}`
  manifest.peerDependencies.millrace = range
  for (const tool of Object.keys(manifest.devDependencies)) manifest.devDependencies[tool] = tools[tool] ?? '*'
  manifest.devDependencies.millrace = checkout === undefined ? range : `file:${checkout}`
  return `${JSON.stringify(manifest, null, 2)}\n`
}

function pascalCase(name: string): string {
  return name.replace(/(^|-)(.)/g, (_, _dash, letter: string) => letter.toUpperCase())
}
