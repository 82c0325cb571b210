import type { Plot } from './plot.ts'

/** What the command line says; each benchmark has its own default for what is absent. */
export type Options = {
  /** Length of one measurement. */
  seconds?: number
  /** How often each measurement is made; contenders take turns. */
  repeat?: number
  /** Length of `soak`. */
  minutes?: number
  /** Names of sizes, as in `720p`; see `sizes.ts`. */
  sizes?: string[]
  /** Starts a peer to compare with, with `{port}` where its port goes. */
  peer?: string
  /** Where the peer serves, with `{port}` too. */
  peerUrl?: string
  /** Folder for CPU profiles of the server and the runners. */
  profile?: string
}

export type Cell = string | number

export type Table = {
  title: string
  columns: string[]
  rows: Cell[][]
  /** What a reader has to know beside the title. */
  note?: string
}

/** A figure that was promised, and what it came to. */
export type Budget = { what: string; limit: number; value: number; unit: string; atLeast?: boolean }

export type Findings = {
  tables: Table[]
  plots: Plot[]
  budgets: Budget[]
  /** The figures behind the tables, for other programs. */
  samples: unknown
}

export type Benchmark = {
  name: string
  /** One line for the page and the list. */
  about: string
  run(options: Options, say: (line: string) => void): Promise<Findings>
}

export function isMet({ limit, value, atLeast = false }: Budget): boolean {
  return atLeast ? value >= limit : value <= limit
}
