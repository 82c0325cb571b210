import type { Plot } from './plot.ts'

/** Command line options; each benchmark has its own defaults. */
export type Options = {
  /** Length of one measurement. */
  seconds?: number
  /** Number of repetitions of each measurement; contenders alternate. */
  repeat?: number
  /** Length of `soak` and of `recording`. */
  minutes?: number
  /** Streams at once, in `soak`. */
  streams?: number
  /** Names of sizes, such as `720p`; see `sizes.ts`. */
  sizes?: string[]
  /** Command that starts a peer for comparison, with `{port}` in place of its port. */
  peer?: string
  /** URL of the peer, also with `{port}`. */
  peerUrl?: string
  /** Numbers of viewers at once, rising; at least two. */
  viewers?: readonly number[]
  /** Packet loss of viewers, in percent. */
  loss?: number
  /** Device for models; default the CPU. */
  provider?: 'cpu' | 'cuda'
  /** Command of a LiveKit server. */
  livekit?: string
  /** Folder in which LiveKit's client for Node is installed. */
  client?: string
  /** The camera of `cluster` has a microphone. */
  audio?: boolean
  /** Folder for the logs of all programs. */
  logs?: string
  /** Folder for CPU profiles of the server and the runners. */
  profile?: string
}

export type Cell = string | number

export type Table = {
  title: string
  columns: string[]
  rows: Cell[][]
  /** Information that the reader needs in addition to the title. */
  note?: string
}

/** A promised figure and the measured value. */
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
