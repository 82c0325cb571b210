import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AppError } from '../core/errors.ts'

export type NewPackageOptions = {
  /** A missing or empty folder; its last part is the name of the package and of the pipeline. */
  directory: string
  /** The server's version. */
  version: string
  /** A folder to install millrace from, instead of the registry. */
  checkout?: string
  /** Versions of the development tools, by name. */
  tools: Record<string, string>
  /** Default: TypeScript. */
  language?: 'typescript' | 'python'
}

const TEMPLATES = {
  typescript: fileURLToPath(new URL('./template', import.meta.url)),
  python: fileURLToPath(new URL('./template-python', import.meta.url)),
}
const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/
/** npm leaves these out of a package unless they are renamed. */
const DOTTED = ['gitignore', 'dockerignore']

type Manifest = { peerDependencies: Record<string, string>; devDependencies: Record<string, string> }

/**
 * Writes a pipeline package with a test, and returns the paths of its files. Throws `invalid-request` if the folder is
 * in use or its name cannot be a package name.
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
  const template = TEMPLATES[options.language ?? 'typescript']
  const paths = readdirSync(template, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/__pycache__/.test(entry.parentPath))
    .map(({ parentPath, name }) => relative(template, join(parentPath, name)))
  // Name of the Python module.
  const module = name.replaceAll('-', '_')
  return paths.sort().map((path) => {
    const text = readFileSync(join(template, path), 'utf8')
      .replaceAll('my-pipeline', name)
      .replaceAll('my_pipeline', module)
      .replaceAll('MyPipeline', pascalCase(name))
    const written = DOTTED.includes(path) ? `.${path}` : path.replaceAll('my_pipeline', module)
    mkdirSync(dirname(join(folder, written)), { recursive: true })
    writeFileSync(join(folder, written), path === 'package.json' ? withVersions(text, options) : text)
    return written
  })
}

/** The template has a wildcard for every version. */
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
