import type { Tensor, TensorInfo } from './tensor.ts'

export type Provider = 'cuda' | 'cpu'

/** How a worker opens its model. */
export type WorkerOptions = {
  /** Absolute path. */
  file: string
  /** Tried in turn. */
  providers: readonly Provider[]
  /** For one run on the CPU. */
  threads: number
}

/** One run is sent at a time. A thread is never ended from outside: in the middle of a run that ends the process. */
export type ToWorker = { type: 'run'; id: number; feeds: Record<string, Tensor> } | { type: 'close' }

export type FromWorker =
  | {
      type: 'opened'
      provider: Provider
      /** Why the providers before it could not be used. */
      refused: { provider: Provider; reason: string }[]
      inputs: TensorInfo[]
      outputs: TensorInfo[]
    }
  | { type: 'unopened'; reason: string }
  /** The feeds come back with the results, since they were handed over. */
  | { type: 'done'; id: number; results: Record<string, Tensor>; feeds: Record<string, Tensor>; ms: number }
  | { type: 'threw'; id: number; reason: string; feeds: Record<string, Tensor> }
