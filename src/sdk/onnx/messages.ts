import type { Tensor, TensorInfo } from './tensor.ts'

export type Provider = 'cuda' | 'cpu'

/** How a worker opens its model. */
export type WorkerOptions = {
  /** Absolute path. */
  file: string
  /** Tried in order. */
  providers: readonly Provider[]
  /** Threads for one run on the CPU. */
  threads: number
}

/** One run is sent at a time. A thread is never terminated from outside: during a run that would end the process. */
export type ToWorker = { type: 'run'; id: number; feeds: Record<string, Tensor> } | { type: 'close' }

export type FromWorker =
  | {
      type: 'opened'
      provider: Provider
      /** Why earlier providers could not be used. */
      refused: { provider: Provider; reason: string }[]
      inputs: TensorInfo[]
      outputs: TensorInfo[]
    }
  | { type: 'unopened'; reason: string }
  /** The feeds were transferred, so they come back with the results. */
  | { type: 'done'; id: number; results: Record<string, Tensor>; feeds: Record<string, Tensor>; ms: number }
  | { type: 'threw'; id: number; reason: string; feeds: Record<string, Tensor> }
