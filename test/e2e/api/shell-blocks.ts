import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * What is expected of a block of a document: success (`run`), to run until the document ends (`background`), to be
 * refused by the server (`refused`), or not to be run because it needs what a test lacks (`elsewhere`).
 */
export type Manner = 'run' | 'background' | 'refused' | 'elsewhere'

export type ShellBlock = { line: number; manner: Manner; text: string }

const MANNERS: readonly string[] = ['run', 'background', 'refused', 'elsewhere']

const pathOf = (document: string) => fileURLToPath(new URL(`../../../${document}`, import.meta.url))
export const textOf = (document: string): string => readFileSync(pathOf(document), 'utf8')

/** The shell blocks of a document, in order. */
export function shellBlocks(document: string): ShellBlock[] {
  return [...fencedBlocks(textOf(document))]
    .filter(({ info }) => info.split(' ')[0] === 'sh')
    .map(({ info, text, line }) => {
      const told = info.split(' ')[1] ?? (goesOn(text) ? 'background' : 'run')
      if (!MANNERS.includes(told)) throw new Error(`${document}:${line}: "${told}" is none of ${MANNERS.join(', ')}`)
      return { line, manner: told as Manner, text }
    })
}

export function* fencedBlocks(markdown: string): Generator<{ info: string; text: string; line: number }> {
  for (const match of markdown.matchAll(/^```([^\n]*)\n([\s\S]*?)^```$/gm)) {
    const [, info = '', text = ''] = match
    yield { info, text: text.trimEnd(), line: markdown.slice(0, match.index).split('\n').length }
  }
}

/** Whether the block starts a server. */
export const serves = (text: string): boolean => /\bnpm start\b|\bnpx millrace$/m.test(text)

/** Servers, and publishers that send a file in real time. */
function goesOn(text: string): boolean {
  return serves(text) || /\bffmpeg -re\b/.test(text)
}
