import { existsSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'

/** Lines of author code, the throwing line first, as `at load (/app/src/pipeline.ts:12:9)`. */
export type AuthorStack = string[]

type Place = { name: string; file: string; where: string }

const MAX_LINES = 20
const OURS = fileURLToPath(new URL('../../', import.meta.url))

let author: string | undefined

/** Makes the package of this module the author's. Call it before the module is imported. */
export function setAuthor(entryFile: string): void {
  author = packageOf(entryFile)
  // A library's frames must not displace the author's own.
  Error.stackTraceLimit = 50
  // Source maps give the TypeScript line of compiled code, in installed packages too.
  process.setSourceMapsEnabled(true)
}

/**
 * Lines of the author's package, without those of libraries, Node and the SDK; if there are none, those of libraries.
 */
export function authorStack(thrown: unknown): AuthorStack {
  const places = placesOf(stackOf(thrown)).filter(({ file }) => !file.startsWith(OURS))
  const own = places.filter(({ file }) => isAuthors(file))
  return (own.length > 0 ? own : places)
    .slice(0, MAX_LINES)
    .map(({ name, where }) => `at ${name ? `${name} (${where})` : where}`)
}

/** Also of another realm, such as those of `vm`. */
export function isError(thrown: unknown): thrown is Error {
  return thrown instanceof Error || types.isNativeError(thrown)
}

/** Empty where there is none, or none to be had: an author may define it as a getter that throws. */
function stackOf(thrown: unknown): string {
  try {
    return isError(thrown) && typeof thrown.stack === 'string' ? thrown.stack : ''
  } catch {
    return ''
  }
}

/** Where it was thrown, as `/app/src/pipeline.ts:12:9`. */
export function authorPlace(thrown: unknown): string | undefined {
  const [first] = authorStack(thrown)
  return first && /\(?([^( ][^(]*:\d+)\)?$/.exec(first)?.[1]
}

/** Parses V8's text: `at async name (file:line:column)`, and `file:line` before a syntax error. */
function placesOf(stack: string): Place[] {
  const places: Place[] = []
  const [first = ''] = stack.split('\n')
  const syntax = /^((?:file:\/\/)?\/.*?):(\d+)$/.exec(first)
  if (syntax) places.push(placeOf('', syntax[1]!, syntax[2]!))
  for (const line of stack.split('\n')) {
    const [, call] = /^\s+at (.*)$/.exec(line) ?? []
    const found = call && /^(?:(.*?) \()?(?:async )?((?:file:\/\/)?\/.*?):(\d+:\d+)\)?$/.exec(call)
    if (found) places.push(placeOf(found[1] ?? '', found[2]!, found[3]!))
  }
  return places
}

function placeOf(name: string, location: string, position: string): Place {
  const file = location.startsWith('file:') ? fileURLToPath(location) : location
  return { name: name.replace(/^(async )?(Object\.)?/, ''), file, where: `${file}:${position}` }
}

function isAuthors(file: string): boolean {
  if (author === undefined || !file.startsWith(author)) return false
  return !file.slice(author.length).includes(`${sep}node_modules${sep}`)
}

/** The folder of the nearest `package.json` above. */
function packageOf(file: string): string {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder
    if (folder === dirname(folder)) return dirname(file)
  }
}
