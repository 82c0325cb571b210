import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

export type Import = {
  /** Path from the root of the repository, with `/`. */
  from: string
  /** As written. */
  specifier: string
  /** The imported file, for a relative import. */
  to?: string
  /** Removed at run time. */
  typeOnly: boolean
}

export type SourceFile = {
  path: string
  /** Without comments. */
  code: string
  lines: number
  imports: Import[]
}

const STATEMENT = /(?:^|[\n;])\s*(import|export)\s+(type\s+)?([^'";]*?from\s*)?(['"])([^'"\n]+)\4/g
const CALL = /\bimport\s*\(\s*(['"])([^'"\n]+)\1\s*\)(\s*\.\s*[A-Z])?/g

/** All files below `folder` with one of the extensions, with their imports. */
export function readSources(root: string, folder: string, endings: string[]): SourceFile[] {
  return files(join(root, folder))
    .filter((file) => endings.some((ending) => file.endsWith(ending)))
    .map((file) => {
      const text = readFileSync(file, 'utf8')
      const path = relative(root, file).replaceAll('\\', '/')
      const code = withoutComments(text)
      return { path, code, lines: text.split('\n').length, imports: findImports(path, code) }
    })
}

export function findImports(path: string, code: string): Import[] {
  const make = (specifier: string, typeOnly: boolean): Import => ({
    from: path,
    specifier,
    ...(specifier.startsWith('.') && { to: normalize(join(dirname(path), specifier)).replaceAll('\\', '/') }),
    typeOnly,
  })
  const statements = [...code.matchAll(STATEMENT)].map(([, , type, names = '', , specifier = '']) =>
    make(specifier, type !== undefined || onlyTypes(names)),
  )
  // `import('./x.ts').Name` with a capital is a type.
  const calls = [...code.matchAll(CALL)].map(([, , specifier = '', name]) => make(specifier, name !== undefined))
  return [...statements, ...calls]
}

/** Whether `{ … } from` lists only types. */
function onlyTypes(names: string): boolean {
  const braces = /^\{([^}]*)\}\s*from\s*$/.exec(names)
  const list =
    braces?.[1]
      ?.split(',')
      .map((name) => name.trim())
      .filter(Boolean) ?? []
  return list.length > 0 && list.every((name) => name.startsWith('type '))
}

/** Files that `start` loads at run time, including itself. */
export function closure(start: string, sources: SourceFile[]): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const seen = new Set<string>()
  const visit = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    for (const one of byPath.get(path)?.imports ?? []) if (one.to && !one.typeOnly) visit(one.to)
  }
  visit(start)
  return [...seen]
}

/** Import cycles, including types, each as the list of its files. */
export function cycles(sources: SourceFile[]): string[][] {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const done = new Set<string>()
  const found: string[][] = []
  const visit = (path: string, way: string[]): void => {
    if (way.includes(path)) found.push([...way.slice(way.indexOf(path)), path])
    if (way.includes(path) || done.has(path)) return
    for (const { to } of byPath.get(path)?.imports ?? []) if (to && byPath.has(to)) visit(to, [...way, path])
    done.add(path)
  }
  for (const { path } of sources) visit(path, [])
  return found
}

/** Removes block comments, and lines that are only a comment; similar text in strings is kept. */
function withoutComments(text: string): string {
  return text.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/^\s*\/\/.*$/gm, '')
}

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === 'dist') return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? files(path) : [path]
  })
}
