import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { isAbsolute, relative, sep } from 'node:path'

/** Where in the author's code an error occurred. */
export type CodePlace = {
  /** Absolute path. */
  file: string
  /** From 1. */
  line: number
  /** From 1; undefined if unknown. */
  column?: number
}

const LINES_BEFORE = 3
const LINES_AFTER = 2

/** JavaScript: `at f (file:///a/b.ts:1:2)`, or `/a/b.ts:1` above the code with carets below it. */
const JAVASCRIPT = /(?:file:\/\/)?(\/[^:()"'`\n]+\.(?:[cm]?[jt]sx?|py)):(\d+)(?::(\d+))?/
/** Python: `File "/a/b.py", line 1`. */
const PYTHON = /File "([^"]+)", line (\d+)/
const MISSING = /Cannot find (?:module|package) '([^']+)' imported from (\S+)/

/**
 * The line of the folder's own code in a stack trace: the throwing one, or else the nearest caller. `trace` is the
 * output of Node or Python.
 */
export function placeIn(folder: string, trace: string): CodePlace | undefined {
  const root = realpathSync(folder)
  const lines = trace.split('\n')
  const python = lines.flatMap((line, index) => {
    const [, file = '', number = ''] = PYTHON.exec(line) ?? []
    return isOwn(root, file) ? [{ file, line: Number(number), ...column(lines.slice(index + 1, index + 3)) }] : []
  })
  // In Python the newest call comes last.
  if (python.length > 0) return python.at(-1)
  for (const [index, line] of lines.entries()) {
    const [, file = '', number, at] = JAVASCRIPT.exec(line) ?? []
    if (!number || !isOwn(root, file)) continue
    const place = { file, line: Number(number) }
    return { ...place, ...(at ? { column: Number(at) } : column(lines.slice(index + 1, index + 3))) }
  }
  return missing(root, trace)
}

/** The lines around a place, with a mark under its column. */
export function codeFrame({ file, line, column: at }: CodePlace): string {
  const code = readFileSync(file, 'utf8').split(/\r?\n/)
  const first = Math.max(1, line - LINES_BEFORE)
  const last = Math.min(code.length, line + LINES_AFTER)
  const width = String(last).length
  const shown: string[] = []
  for (let number = first; number <= last; number++) {
    const mark = number === line ? '>' : ' '
    const text = code[number - 1] ?? ''
    shown.push(`${mark} ${String(number).padStart(width)} | ${text}`.trimEnd())
    // Tabs are kept, so that the mark is under its character.
    if (number === line && at) shown.push(`  ${' '.repeat(width)} | ${text.slice(0, at - 1).replace(/[^\t]/g, ' ')}^`)
  }
  return shown.join('\n')
}

/** A failed import: Node names only the file. */
function missing(root: string, trace: string): CodePlace | undefined {
  const [, wanted = '', file = ''] = MISSING.exec(trace) ?? []
  if (!isOwn(root, file)) return undefined
  const name = wanted.split('/').at(-1) ?? wanted
  const line = readFileSync(file, 'utf8')
    .split(/\r?\n/)
    .findIndex((text) => /\b(?:import|from|require)\b/.test(text) && text.includes(name))
  return line < 0 ? undefined : { file, line: line + 1 }
}

function isOwn(root: string, file: string): boolean {
  if (!isAbsolute(file) || !existsSync(file)) return false
  const within = relative(root, realpathSync(file))
  return !within.startsWith('..') && !within.split(sep).includes('node_modules') && !within.includes('site-packages')
}

/** Column of the carets under a line of code. */
function column([, carets = '']: string[]): { column?: number } {
  const at = /^\s*[~^]+\s*$/.test(carets) ? carets.indexOf('^') : -1
  return at < 0 ? {} : { column: at + 1 }
}
