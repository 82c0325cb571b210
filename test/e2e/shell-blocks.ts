import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * What a block of a document is to do: end well, go on until the document is over (`background`), be refused by the
 * server (`refused`), or be left alone because it needs what a test has not (`elsewhere`).
 */
export type Manner = 'run' | 'background' | 'refused' | 'elsewhere'

export type ShellBlock = { line: number; manner: Manner; text: string }

const MANNERS: readonly string[] = ['run', 'background', 'refused', 'elsewhere']

const pathOf = (document: string) => fileURLToPath(new URL(`../../${document}`, import.meta.url))
export const textOf = (document: string): string => readFileSync(pathOf(document), 'utf8')

/** The blocks of a document that are for a shell, in their order. */
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

/** Servers, and publishers that keep a file's own pace. */
function goesOn(text: string): boolean {
  return /\bnpm start\b|\bffmpeg -re\b/.test(text)
}
